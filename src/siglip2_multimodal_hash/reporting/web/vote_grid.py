"""Heat maps of the grid that was tried on val: neighbours, votes and tau for each distance."""

from collections.abc import Sequence

import numpy as np

from siglip2_multimodal_hash.params import KnnParams
from siglip2_multimodal_hash.reporting.web.charts import chart
from siglip2_multimodal_hash.reporting.web.inputs import Record
from siglip2_multimodal_hash.reporting.web.lines import Series, legend
from siglip2_multimodal_hash.reporting.web.shapes import Cell, heat_map
from siglip2_multimodal_hash.reporting.web.svg import element


def vote_maps(rows: Sequence[Record], knn: KnnParams) -> list[str]:
    """One map per distance: a row for each vote, a column for each K.

    Args:
        rows: Of ``knn_grid.csv``. A row for each ``hybrid_weight`` says the same of ``knn``.
        knn: The setting of params.yaml, which is set off, as is the best one.
    """
    values = {
        (row["distance"], int(row["K"]), _vote(row["vote"], row["tau"])): float(row["map_knn"])
        for row in rows
    }
    if not values:
        return []
    best = max(values, key=lambda key: values[key])
    tau = f"{knn.tau:g}" if knn.vote == "softmax" else ""
    own = (knn.distance, knn.K, _vote(knn.vote, tau))
    # One neighbour alone is far behind all others and would take up most of the colours.
    low, high = np.quantile([*values.values()], [0.15, 1])
    counts = sorted({count for _, count, _ in values})
    votes = sorted({vote for _, _, vote in values})
    maps = []
    for distance in dict.fromkeys(key[0] for key in values):
        drawn = heat_map(
            f"mAP of knn on val by vote and number of neighbours, {distance} distance",
            [str(count) for count in counts],
            [
                (vote, [_cell((distance, count, vote), values, best, own) for count in counts])
                for vote in votes
            ],
            low=float(low),
            high=float(high),
            title="neighbours K",
        )
        maps.append(chart(f"{distance} distance", element("div", drawn, class_="heatmap")))
    return maps


def map_legend(rows: Sequence[Record]) -> str:
    """Legend of the outlines, and the best mix of vote and classifier."""
    items = [Series("best on val", "best", []), Series("params.yaml", "own", [])]
    mixed = [row for row in rows if row.get("map_hybrid")]
    said = ""
    if mixed:
        top = max(mixed, key=lambda row: float(row["map_hybrid"]))
        said = element(
            "p",
            f"With the classifier mixed in, the best on val is {100 * float(top['map_hybrid']):.1f}"
            f" %: {top['distance']} distance, K {top['K']}, {_vote(top['vote'], top['tau'])}, "
            f"weight {top['hybrid_weight']} of the vote.",
            class_="note",
        )
    return legend(items) + said


def _vote(vote: str, tau: str) -> str:
    return f"{vote} τ {float(tau):g}" if tau else vote


def _cell(
    key: tuple[str, int, str],
    values: dict[tuple[str, int, str], float],
    best: tuple[str, int, str],
    own: tuple[str, int, str],
) -> Cell:
    if key not in values:
        return Cell(None)
    mark = "best" if key == best else "own" if key == own else ""
    distance, count, vote = key
    note = f"{distance}, K {count}, {vote}: {100 * values[key]:.2f} %"
    return Cell(values[key], mark, note)
