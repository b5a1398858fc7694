"""Every setting of the vote on val, and what the best one does on test.

The neighbours at a smaller K are the first of those at a larger one, whatever the distance, so one
search a distance serves all settings, and only votes and mAP remain. The setting is chosen by val
mAP alone; test is read for the chosen one.
"""

from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

from siglip2_multimodal_hash.evaluation.average_precision import mean_average_precision
from siglip2_multimodal_hash.evaluation.heads import (
    QUERY_SPLITS,
    Labels,
    Rows,
    SplitRows,
    index_of_split,
    predict,
)
from siglip2_multimodal_hash.evaluation.histograms import in_threads
from siglip2_multimodal_hash.evaluation.protocol import Figures, evaluate_predictions
from siglip2_multimodal_hash.params import KnnGridParams, KnnParams
from siglip2_multimodal_hash.retrieval.index import CodeIndex
from siglip2_multimodal_hash.retrieval.index_kinds import Multihash
from siglip2_multimodal_hash.retrieval.neighbours import Neighbours
from siglip2_multimodal_hash.retrieval.search import find_neighbours
from siglip2_multimodal_hash.retrieval.store import HeadCodes
from siglip2_multimodal_hash.retrieval.voting import combine_scores, vote_scores

OF_VECTORS = ("cosine", "asymmetric", "whitened")
"""Distances whose search indexes vectors, not codes."""


class GridRow(NamedTuple):
    """One setting by the names of ``knn``, and what it reaches on val.

    ``tau`` is None for a vote that does not use it. Without a classifier ``hybrid_weight`` and
    ``map_hybrid`` are None.
    """

    distance: str
    K: int
    vote: str
    tau: float | None
    hybrid_weight: float | None = None
    map_knn: float = 0.0
    map_hybrid: float | None = None


@dataclass(frozen=True, eq=False)
class KnnGrid:
    """What was tried.

    Attributes:
        rows: All settings, on val.
        own: The one of them that is params.yaml's.
        best: By predictor the best row, with its figures on val and test.
    """

    rows: list[GridRow]
    own: GridRow
    best: dict[str, tuple[GridRow, Figures]]

    def as_json(self) -> dict[str, Any]:
        """``rows``, ``own``, and ``best``: by predictor ``setting`` and ``figures``."""
        best = {
            name: {"setting": row._asdict(), "figures": figures}
            for name, (row, figures) in self.best.items()
        }
        rows = [row._asdict() for row in self.rows]
        return {"rows": rows, "own": self.own._asdict(), "best": best}


def evaluate_grid(
    codes: HeadCodes,
    index: CodeIndex,
    labels: Labels,
    rows: SplitRows,
    knn: KnnParams,
    grid: KnnGridParams,
) -> KnnGrid:
    """Try every setting on val and evaluate the best one of each predictor.

    Args:
        codes: Of all N images.
        index: Over the codes of ``rows.database``.
        labels: uint8 [N, C].
        rows: The splits.
        knn: The setting of params.yaml, which is tried too; and what the grid leaves alone.
        grid: What is tried.

    Returns:
        ``best`` has ``knn`` and, where there is a classifier, ``hybrid``. Among equally good rows
        the first is taken: the smaller K.

    Raises:
        InputError: ``knn.K`` is more than the database has items.
        DataError: Arrays that do not fit each other.
    """
    tried = grid_settings(
        knn,
        grid,
        most=min(len(rows.database_of(split)) for split in QUERY_SPLITS),
        has_bits=codes.packed is not None,
        has_vectors=not isinstance(index.kind, Multihash),
    )
    indexes = {split: index_of_split(index, codes, rows, split) for split in QUERY_SPLITS}
    database = rows.database_of("val")
    found: list[GridRow] = []
    for distance in dict.fromkeys(row.distance for row in tried):
        here = [row for row in tried if row.distance == distance]
        largest = knn.model_copy(update={"distance": distance, "K": max(row.K for row in here)})
        neighbours = find_neighbours(
            indexes["val"],
            codes.rows(rows.val),
            codes.rows(database),
            distance=largest.distance,
            K=largest.K,
            shortlist=knn.shortlist,
        )
        found += _evaluate(here, neighbours, codes, labels, database, rows.val, knn, grid)
    # The weight makes no difference to the vote alone.
    best = {
        "knn": max(found, key=lambda row: row.map_knn)._replace(hybrid_weight=None, map_hybrid=None)
    }
    if codes.scores is not None:
        best["hybrid"] = max(found, key=lambda row: row.map_hybrid or 0.0)
    figures = {
        name: (row, _figures(name, _changed(knn, row), codes, indexes, labels, rows))
        for name, row in best.items()
    }
    return KnnGrid(found, next(row for row in found if _changed(knn, row) == knn), figures)


def grid_settings(
    knn: KnnParams,
    grid: KnnGridParams,
    *,
    most: int,
    has_bits: bool,
    has_vectors: bool = True,
) -> list[GridRow]:
    """The settings that can be tried, by distance and K; that of params.yaml is one of them.

    Args:
        knn: The setting of params.yaml.
        grid: All others.
        most: Items of the smallest database: more neighbours than that there are not.
        has_bits: Whether there are binary codes; without them only the cosine is possible.
        has_vectors: Whether the index can hold vectors, too: else none of ``cosine``,
            ``asymmetric`` and ``whitened`` is possible.
    """
    wanted = set()
    for distance, K, vote in product(grid.distance, grid.K, grid.vote):
        reach = min(most, knn.shortlist) if distance == "hybrid" else most
        possible = distance not in OF_VECTORS or has_vectors
        if reach >= K and possible and (has_bits or distance == "cosine"):
            wanted |= {GridRow(distance, K, vote, tau) for tau in _taus(vote, grid.tau)}
    wanted |= {GridRow(knn.distance, knn.K, knn.vote, tau) for tau in _taus(knn.vote, (knn.tau,))}
    return sorted(wanted, key=lambda row: (row.distance, row.K, row.vote, row.tau or 0.0))


def _taus(vote: str, values: tuple[float, ...]) -> tuple[float | None, ...]:
    return values if vote == "softmax" else (None,)


def _evaluate(
    settings: list[GridRow],
    neighbours: Neighbours,
    codes: HeadCodes,
    labels: Labels,
    database: Rows,
    queries: Rows,
    knn: KnnParams,
    grid: KnnGridParams,
) -> list[GridRow]:
    """MAP of settings of one distance on the queries, given their nearest neighbours."""
    of_database, of_queries = labels[database], labels[queries]
    classifier = None if codes.scores is None else codes.scores[queries]
    weights = sorted({*grid.hybrid_weight, knn.hybrid_weight})

    def evaluate(row: GridRow) -> list[GridRow]:
        setting = _changed(knn, row)
        nearest = Neighbours(neighbours.rows[:, : row.K], neighbours.similarities[:, : row.K])
        voted = vote_scores(
            nearest, of_database, setting.vote, tau=setting.tau, threshold=setting.threshold
        )
        row = row._replace(map_knn=mean_average_precision(voted, of_queries).value)
        if classifier is None:
            return [row]
        mixed = {weight: combine_scores(voted, classifier, weight) for weight in weights}
        return [
            row._replace(
                hybrid_weight=weight, map_hybrid=mean_average_precision(scores, of_queries).value
            )
            for weight, scores in mixed.items()
        ]

    return [row for rows in in_threads(evaluate, settings) for row in rows]


def _changed(knn: KnnParams, row: GridRow) -> KnnParams:
    """``knn`` with the setting of a row."""
    values = {name: value for name, value in row._asdict().items() if not name.startswith("map_")}
    return knn.model_copy(update={k: v for k, v in values.items() if v is not None})


def _figures(
    name: str,
    knn: KnnParams,
    codes: HeadCodes,
    indexes: dict[str, CodeIndex],
    labels: Labels,
    rows: SplitRows,
) -> Figures:
    """Figures of one predictor under a setting, on val and test."""
    scores = {
        split: predict(
            codes, indexes[split], labels, rows.database_of(split), rows.queries(split), knn
        ).scores[name]
        for split in QUERY_SPLITS
    }
    return evaluate_predictions(
        scores["val"],
        labels[rows.val],
        scores["test"],
        labels[rows.test],
        top_n_tags=knn.top_n_tags,
    )
