"""Product quantisation (Jégou, Douze and Schmid, TPAMI 2011): as many bytes as the code.

A vector is cut into M parts, and each part replaced by the nearest of 256 centroids: one byte per
part, M = bits / 8 in all. Only the database is compressed. A query stays as it is, and its distance
to an item is that to the item's centroids, |q - x'|: the asymmetric distance of FAISS's IndexPQ.

It is the sum of M numbers from tables that a query has once for all items, one per part and
centroid. FAISS sums them in float32 and gives the nearest alone; here it is float64, in the order
of the parts, and all items: a pair's similarity depends on nothing but the pair, equal codes tie,
and search and ranking see the same similarities.
"""

from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import Codes, Floats, Vectors, check_size, check_vectors
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.params import code_bytes

CENTROIDS = 256
"""Centroids per part: as many as one byte can name."""

# Queries whose tables are held at a time, and items that are looked up at a time: their sums fit
# the cache.
QUERY_BLOCK = 256
_ITEM_BLOCK = 128
_ENCODED = 8192


@dataclass(frozen=True, eq=False)
class ProductCodes:
    """A fitted quantiser of vectors of ``dim`` dimensions."""

    quantiser: Any  # faiss.ProductQuantizer
    dim: int

    @property
    def centroids(self) -> Vectors:
        """The centroids of each part, float32 [M, 256, D / M], with D as padded."""
        parts, width = self.quantiser.M, self.quantiser.dsub
        flat: Vectors = faiss.vector_to_array(self.quantiser.centroids)
        return flat.reshape(parts, CENTROIDS, width)

    def encode(self, vectors: npt.NDArray[Any]) -> Codes:
        """One byte per part, uint8 [N, bits / 8].

        Args:
            vectors: float [N, D].

        Raises:
            DataError: NaN, or another dimension than that of the training vectors.
        """
        vectors = check_vectors("vectors", vectors)
        check_size("dimensions of the vectors", vectors.shape[1], "of the training", self.dim)
        codes = np.empty((len(vectors), self.quantiser.M), dtype=np.uint8)
        for start in range(0, len(vectors), _ENCODED):
            block = _padded(vectors[start : start + _ENCODED], self.quantiser.d)
            codes[start : start + _ENCODED] = self.quantiser.compute_codes(block)
        return codes

    def tables(self, queries: Vectors) -> Floats:
        """Squared distances of each query's parts to all centroids, float64 [M, 256, Q].

        Args:
            queries: float32 [Q, D].
        """
        centroids = self.centroids.astype(np.float64)
        parts = _padded(queries, self.quantiser.d).astype(np.float64)
        parts = parts.reshape(len(queries), len(centroids), -1)
        products = np.stack([of @ parts[:, part].T for part, of in enumerate(centroids)])
        squares: Floats = np.square(centroids).sum(axis=2)[:, :, None] - 2 * products
        squares += np.square(parts).sum(axis=2).T[:, None]
        return squares

    def similarities(self, queries: Vectors, codes: Codes) -> npt.NDArray[np.float32]:
        """Similarity of every query to every item, 1 - |q - x'|^2 / 4, float32 [Q, N].

        For unit vectors that is (1 + cos) / 2; it is cut to 0 and 1.

        Args:
            queries: Unit vectors, float32 [Q, D].
            codes: uint8 [N, bits / 8].
        """
        tables = self.tables(queries)
        found = np.empty((len(queries), len(codes)), dtype=np.float32)
        for start in range(0, len(codes), _ITEM_BLOCK):
            block = codes[start : start + _ITEM_BLOCK]
            squares = tables[0].take(block[:, 0], axis=0)
            for table, centroid in zip(tables[1:], block.T[1:], strict=True):
                squares += table.take(centroid, axis=0)
            found[:, start : start + _ITEM_BLOCK] = (1 - squares / 4).clip(0, 1).T
        return found


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


def _padded(vectors: Vectors, dim: int) -> Vectors:
    return np.ascontiguousarray(np.pad(vectors, ((0, 0), (0, dim - vectors.shape[1]))))
