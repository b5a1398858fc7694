"""Grid of vote settings on val, and the figures of the best one on test.

The neighbours at a smaller K are the first of those at a larger one, whatever the distance, so one
search per distance serves all settings, and only votes and mAP remain. The setting is chosen by val
mAP alone; test is read for the chosen one. Which setting ``knn`` of params.yaml has makes no
difference here, so that changing it repeats no trial.
"""

from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

from siglip2_multimodal_hash.arrays import Labels
from siglip2_multimodal_hash.evaluation.heads import QUERY_SPLITS, SplitRows, index_of_split
from siglip2_multimodal_hash.evaluation.histograms import in_threads
from siglip2_multimodal_hash.evaluation.protocol import Figures, evaluate_predictions
from siglip2_multimodal_hash.evaluation.searched_split import SearchedSplit, first
from siglip2_multimodal_hash.params import (
    Distance,
    KnnGridParams,
    Multihash,
    Vote,
    needs_code,
    searches_vectors,
)
from siglip2_multimodal_hash.progress import Phase, phase, track
from siglip2_multimodal_hash.retrieval.index import CodeIndex
from siglip2_multimodal_hash.retrieval.store import HeadCodes
from siglip2_multimodal_hash.retrieval.voting import combine_scores, sparse_labels


class GridRow(NamedTuple):
    """One setting by the names of ``knn``, and what it reaches on val.

    ``tau`` is None for a vote that does not use it. Without a classifier ``hybrid_weight`` and
    ``map_hybrid`` are None.
    """

    distance: Distance
    K: int
    vote: Vote
    tau: float | None
    hybrid_weight: float | None = None
    map_knn: float = 0.0
    map_hybrid: float | None = None


@dataclass(frozen=True, eq=False)
class KnnGrid:
    """Results of the grid.

    Attributes:
        rows: All settings, on val; none where no distance of the grid is possible.
        best: By predictor the best row, with its figures on val and test.
    """

    rows: list[GridRow]
    best: dict[str, tuple[GridRow, Figures]]

    def as_json(self) -> dict[str, Any]:
        """``rows``, and ``best``: by predictor ``setting`` and ``figures``."""
        best = {
            name: {"setting": row._asdict(), "figures": figures}
            for name, (row, figures) in self.best.items()
        }
        return {"rows": [row._asdict() for row in self.rows], "best": best}


def evaluate_grid(
    codes: HeadCodes,
    index: CodeIndex,
    labels: Labels,
    rows: SplitRows,
    grid: KnnGridParams,
    *,
    shortlist: int,
    threshold: float,
    top_n_tags: int,
) -> KnnGrid:
    """Try every setting on val and evaluate the best one of each predictor.

    Args:
        codes: Of all N images.
        index: Over the codes of ``rows.database``.
        labels: uint8 [N, C].
        rows: The splits.
        grid: Settings to try.
        shortlist: Candidates that the distance ``hybrid`` re-ranks.
        threshold: Least similarity that may vote under the vote ``threshold``.
        top_n_tags: Tags per photo, of the figures at n.

    Returns:
        ``best`` has ``knn`` and, where there is a classifier, ``hybrid``. Among equally good rows
        the first is taken: the smaller K.

    Raises:
        DataError: Arrays that do not fit each other.
    """
    tried = grid_settings(
        grid,
        most=min(len(rows.database_of(split)) for split in QUERY_SPLITS),
        shortlist=shortlist,
        has_bits=codes.packed is not None,
        has_vectors=not isinstance(index.kind, Multihash),
    )
    splits = {
        split: SearchedSplit(
            codes.rows(rows.queries(split)),
            codes.rows(rows.database_of(split)),
            None if codes.scores is None else codes.scores[rows.queries(split)],
            index_of_split(index, codes, rows, split),
            labels[rows.queries(split)],
            sparse_labels(labels[rows.database_of(split)]),
            shortlist,
            threshold,
        )
        for split in QUERY_SPLITS
    }
    found: list[GridRow] = []
    with phase("settings on val", len(tried), "setting") as progress:
        for distance in dict.fromkeys(row.distance for row in tried):
            here = [row for row in tried if row.distance == distance]
            weights = sorted(set(grid.hybrid_weight))
            found += _evaluate(splits["val"], here, weights, progress)
    # The larger K first: its neighbours serve the smaller, so that no distance is searched twice.
    best = sorted(_best(found).items(), key=lambda item: item[1].K, reverse=True)
    return KnnGrid(
        found,
        {
            name: (row, _figures(splits, name, row, top_n_tags))
            for name, row in track(best, "figures of the best settings", "predictor")
        },
    )


def grid_settings(
    grid: KnnGridParams, *, most: int, shortlist: int, has_bits: bool, has_vectors: bool = True
) -> list[GridRow]:
    """The settings that can be tried, by distance and K.

    Args:
        grid: Settings of the section ``knn_grid``.
        most: Items of the smallest database: more neighbours than that there are not.
        shortlist: Nor more than these by the distance ``hybrid``.
        has_bits: Whether there are binary codes; without them only the cosine is possible.
        has_vectors: Whether the index can hold vectors, too: else none of ``cosine``,
            ``asymmetric`` and ``whitened`` is possible.
    """
    settings = set()
    for distance, K, vote in product(grid.distance, grid.K, grid.vote):
        reach = min(most, shortlist) if distance == "hybrid" else most
        possible = has_vectors or not searches_vectors(distance)
        if reach >= K and possible and (has_bits or not needs_code(distance)):
            taus = grid.tau if vote == "softmax" else (None,)
            settings |= {GridRow(distance, K, vote, tau) for tau in taus}
    return sorted(settings, key=lambda row: (row.distance, row.K, row.vote, row.tau or 0.0))


def _evaluate(
    split: SearchedSplit, settings: list[GridRow], weights: list[float], progress: Phase
) -> list[GridRow]:
    """MAP of settings of one distance on the queries of a split."""
    distance = settings[0].distance
    with phase(f"search by {distance} distance"):
        nearest = split.neighbours(distance, max(row.K for row in settings))

    def evaluate(row: GridRow) -> list[GridRow]:
        voted = split.vote(first(nearest, row.K), row.vote, row.tau)
        progress.update()
        row = row._replace(map_knn=split.mean_average_precision(voted))
        classifier = split.classifier
        if classifier is None:
            return [row]
        mixed = {weight: combine_scores(voted, classifier, weight) for weight in weights}
        return [
            row._replace(hybrid_weight=weight, map_hybrid=split.mean_average_precision(scores))
            for weight, scores in mixed.items()
        ]

    return [row for rows in in_threads(evaluate, settings) for row in rows]


def _best(found: list[GridRow]) -> dict[str, GridRow]:
    """Row with the largest mAP on val per predictor, of equal ones the first."""
    if not found:
        return {}
    # The weight makes no difference to the vote alone.
    alone = max(found, key=lambda row: row.map_knn)
    best = {"knn": alone._replace(hybrid_weight=None, map_hybrid=None)}
    if alone.map_hybrid is not None:
        best["hybrid"] = max(found, key=lambda row: row.map_hybrid or 0.0)
    return best


def _figures(splits: dict[str, SearchedSplit], name: str, row: GridRow, top_n_tags: int) -> Figures:
    """Figures of one predictor under a setting, on val and test."""
    scores = {}
    for split, searched in splits.items():
        scores[split] = searched.vote(searched.neighbours(row.distance, row.K), row.vote, row.tau)
        classifier = searched.classifier
        if name == "hybrid" and classifier is not None and row.hybrid_weight is not None:
            scores[split] = combine_scores(scores[split], classifier, row.hybrid_weight)
    return evaluate_predictions(
        scores["val"],
        splits["val"].labels,
        scores["test"],
        splits["test"].labels,
        top_n_tags=top_n_tags,
    )
