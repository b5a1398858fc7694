"""Product quantisation (Jégou, Douze and Schmid, TPAMI 2011): as many bytes as the code.

A vector is cut into M parts, and each part replaced by the nearest of 256 centroids: one byte a
part, M = bits / 8 in all. Only the database is compressed. A query stays as it is, and its distance
to an item is that to the item's centroids, |q - x'|: the asymmetric distance of FAISS's IndexPQ.

FAISS sums it in float32 from tables, in an order of its own. Here the same distance is the cosine
of two longer vectors, so that search, ties and figures are exactly those of float vectors:

    q* = [q, 1, 0],  x* = [x', -|x'|^2 / 2, s],  q* . x* = (|q|^2 - |q - x'|^2) / 2

where s fills every x* up to the same length.
"""

from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import Codes, Labels, Vectors, check_size, check_vectors
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.evaluation.heads import QUERY_SPLITS, SplitRows
from siglip2_multimodal_hash.evaluation.protocol import (
    Figures,
    evaluate_predictions,
    evaluate_retrieval,
)
from siglip2_multimodal_hash.params import KnnParams, code_bytes
from siglip2_multimodal_hash.retrieval.codes import unit_vectors
from siglip2_multimodal_hash.retrieval.index import build_index
from siglip2_multimodal_hash.retrieval.neighbours import Neighbours
from siglip2_multimodal_hash.retrieval.search import search_cosine
from siglip2_multimodal_hash.retrieval.voting import vote_scores

CENTROIDS = 256
"""Centroids per part: as many as one byte can name."""


@dataclass(frozen=True, eq=False)
class ProductCodes:
    """A fitted quantiser of vectors of ``dim`` dimensions."""

    quantiser: Any  # faiss.ProductQuantizer
    dim: int

    def encode(self, vectors: npt.NDArray[Any]) -> Codes:
        """One byte per part, uint8 [N, bits / 8].

        Args:
            vectors: float [N, D].

        Raises:
            DataError: NaN, or another dimension than that of the training vectors.
        """
        vectors = check_vectors("vectors", vectors)
        check_size("dimensions of the vectors", vectors.shape[1], "of the training", self.dim)
        codes: Codes = self.quantiser.compute_codes(_padded(vectors, self.quantiser.d))
        return codes

    def decode(self, codes: Codes) -> Vectors:
        """The centroids that codes name, float32 [N, D]."""
        vectors: Vectors = self.quantiser.decode(codes)
        return vectors[:, : self.dim]


def fit_product_codes(train: npt.NDArray[Any], bits: int, seed: int) -> ProductCodes:
    """Find the centroids of each part by k-means.

    Where the parts do not divide the dimensions, zeros are added: they change no distance.

    Args:
        train: float [N, D].
        bits: A multiple of 8; 8 for each part.
        seed: Of the first centroids.

    Raises:
        InputError: ``bits`` is not a positive multiple of 8, or there are fewer training vectors
            than centroids.
        DataError: NaN, or not a float matrix.
    """
    train = check_vectors("training vectors", train)
    parts = code_bytes(bits)
    if len(train) < CENTROIDS:
        raise InputError(
            f"product quantisation: {len(train)} training vectors are fewer than {CENTROIDS} "
            "centroids",
            "use more training images",
        )
    dim = train.shape[1]
    quantiser = faiss.ProductQuantizer(-(-dim // parts) * parts, parts, 8)
    quantiser.cp.seed = seed
    quantiser.cp.min_points_per_centroid = 1  # FAISS would only print that it likes 39
    quantiser.train(_padded(train, quantiser.d))
    return ProductCodes(quantiser, dim)


def evaluate_product_codes(
    vectors: npt.NDArray[Any],
    labels: Labels,
    rows: SplitRows,
    knn: KnnParams,
    *,
    bits: int,
    seed: int,
) -> Figures:
    """Figures ``knn`` and ``retrieval`` of the vectors at unit length, the database compressed.

    Args:
        vectors: float [N, D], of any length.
        labels: uint8 [N, C].
        rows: The splits; the centroids are those of train.
        knn: K and the vote; the distance is the asymmetric one.
        bits: Width of the code that this is compared with.
        seed: See :func:`fit_product_codes`.

    Raises:
        InputError: See :func:`fit_product_codes`; K is more than the database has.
        DataError: Arrays that do not fit each other.
    """
    units = unit_vectors(vectors)
    fitted = fit_product_codes(units[rows.train], bits, seed)
    scores: dict[str, npt.NDArray[np.float32]] = {}
    retrieval: Figures = {}
    for split in QUERY_SPLITS:
        queries, database = rows.queries(split), rows.database_of(split)
        decoded = fitted.decode(fitted.encode(units[database]))
        found = nearest_asymmetric(units[queries], decoded, knn.K)
        scores[split] = vote_scores(
            found, labels[database], knn.vote, tau=knn.tau, threshold=knn.threshold
        )
        retrieval[split] = evaluate_retrieval(
            _lifted_queries(units[queries]),
            _lifted_items(decoded)[0],
            labels[queries],
            labels[database],
        ).figures()
    figures = evaluate_predictions(
        scores["val"],
        labels[rows.val],
        scores["test"],
        labels[rows.test],
        top_n_tags=knn.top_n_tags,
    )
    return {"knn": figures, "retrieval": retrieval}


def nearest_asymmetric(queries: Vectors, decoded: Vectors, K: int) -> Neighbours:
    """The K nearest by |q - x'|, ties by lowest row.

    Args:
        queries: Unit vectors, float32 [Q, D].
        decoded: The items' centroids, float32 [N, D].
        K: From 1 to N.

    Returns:
        The similarity is 1 - |q - x'|^2 / 4, which for unit vectors is (1 + cos) / 2.

    Raises:
        InputError: K is more than N.
    """
    lifted, length = _lifted_items(decoded)
    longer = _lifted_queries(queries)
    found = search_cosine(build_index(unit_vectors(lifted)), longer, K)
    cosines = 2 * found.similarities.astype(np.float64) - 1
    products = cosines * np.linalg.norm(longer.astype(np.float64), axis=1)[:, None] * length
    squares = np.square(queries.astype(np.float64)).sum(axis=1)[:, None] - 2 * products
    return Neighbours(found.rows, (1 - squares / 4).clip(0, 1).astype(np.float32))


def _lifted_queries(queries: Vectors) -> Vectors:
    """q* of the module's docstring, float32 [Q, D + 2]."""
    return np.pad(np.pad(queries, ((0, 0), (0, 1)), constant_values=1), ((0, 0), (0, 1)))


def _lifted_items(decoded: Vectors) -> tuple[Vectors, float]:
    """x* of the module's docstring, float32 [N, D + 2], and the length that all of them have."""
    halves = np.square(decoded.astype(np.float64)).sum(axis=1) / 2
    lengths = 2 * halves + np.square(halves)
    longest = float(lengths.max())
    fill = np.sqrt(longest - lengths)
    lifted = np.column_stack([decoded, -halves, fill]).astype(np.float32)
    return lifted, float(np.sqrt(longest))


def _padded(vectors: Vectors, dim: int) -> Vectors:
    return np.ascontiguousarray(np.pad(vectors, ((0, 0), (0, dim - vectors.shape[1]))))
