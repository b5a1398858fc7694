"""Whitened codes: against scipy, by hand, and whatever the batch."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.linalg import fractional_matrix_power

from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.params import Ivf
from siglip2_multimodal_hash.retrieval.codes import binarize, unit_vectors
from siglip2_multimodal_hash.retrieval.index import build_index
from siglip2_multimodal_hash.retrieval.neighbours import SoftAndPacked
from siglip2_multimodal_hash.retrieval.search import (
    search_asymmetric,
    search_cosine,
    search_whitened,
)
from siglip2_multimodal_hash.retrieval.whitening import (
    SHRINKAGE,
    signs_of,
    whitened,
    whitening_of,
)


def some_items(count: int, bits: int, seed: int = 0) -> SoftAndPacked:
    """Soft codes whose bits agree with each other in part."""
    generator = np.random.default_rng(seed)
    causes = generator.standard_normal((count, 3)) @ generator.standard_normal((3, bits))
    soft = np.tanh(causes + generator.standard_normal((count, bits))).astype(np.float32)
    return SoftAndPacked(soft, binarize(soft))


@pytest.mark.parametrize("bits", [16, 32, 64, 128])
def test_the_whitening_is_the_inverse_root_of_the_covariance(bits: int) -> None:
    signs = np.where(some_items(300, bits).soft > 0, 1, -1).astype(np.float32)
    covariance = np.cov(signs, rowvar=False, bias=True) + SHRINKAGE * np.eye(bits)
    expected = fractional_matrix_power(covariance, -0.5)
    np.testing.assert_allclose(whitening_of(signs), expected, atol=1e-9)


def test_bits_that_say_the_same_count_less_by_hand() -> None:
    """Seven equal bits and one of its own, all balanced and independent of each other."""
    signs = np.array([[a] * 7 + [b] for a in (1, -1) for b in (1, -1)], np.float32)
    # Two eigenvalues that are not 0: 7 of the block of ones and 1 of the last bit.
    expected = np.zeros((8, 8))
    expected[:7, :7] = ((7.1**-0.5) - (0.1**-0.5)) / 7 + np.eye(7) * 0.1**-0.5
    expected[7, 7] = 1.1**-0.5
    np.testing.assert_allclose(whitening_of(signs), expected, atol=1e-12)
    # An item shares the seven bits of the query, or the last one.
    items = SoftAndPacked(signs, binarize(signs))
    index = build_index(binarize(signs))
    query = np.array([[1] * 7 + [1]], np.float32)
    plain = 2 * search_asymmetric(index, query, items, 4).similarities[0] - 1
    found = search_whitened(index, query, items, 4)
    assert found.rows.tolist() == [[0, 1, 2, 3]]
    np.testing.assert_allclose(plain, [1, 6 / 8, -6 / 8, -1], atol=1e-6)
    seven, one = 7 / 7.1, 1 / 1.1  # squared lengths of the two parts after whitening
    gap = (seven - one) / (seven + one)
    np.testing.assert_allclose(2 * found.similarities[0] - 1, [1, gap, -gap, -1], atol=1e-6)


@pytest.mark.parametrize("bits", [16, 64])
def test_the_search_is_the_cosine_after_whitening(bits: int) -> None:
    items, queries = some_items(200, bits), some_items(9, bits, seed=1).soft
    found = search_whitened(build_index(binarize(items.soft)), queries, items, 12)
    signs = np.where(items.soft > 0, 1, -1).astype(np.float64)
    basis = fractional_matrix_power(np.cov(signs.T, bias=True) + 0.1 * np.eye(bits), -0.5)
    left, right = unit_vectors(queries @ basis), unit_vectors(signs @ basis)
    similarities = (1 + left @ right.T) / 2
    np.testing.assert_allclose(
        found.similarities, -np.sort(-similarities, axis=1)[:, :12], atol=1e-6
    )
    np.testing.assert_allclose(
        np.take_along_axis(similarities, found.rows, axis=1), found.similarities, atol=1e-6
    )


def test_equal_codes_tie_and_come_by_row() -> None:
    items = some_items(20, 16)
    packed = np.tile(binarize(items.soft), (5, 1))
    many = SoftAndPacked(np.tile(items.soft, (5, 1)), packed)
    found = search_whitened(build_index(packed), items.soft[:4], many, 40)
    for rows, similarities in zip(*found, strict=True):
        groups = [rows[similarities == one] for one in np.unique(similarities)[::-1]]
        assert all(len(group) % 5 == 0 for group in groups)
        assert all((np.diff(group) > 0).all() for group in groups)


def test_a_row_does_not_depend_on_the_others() -> None:
    items = some_items(70, 32)
    basis = whitening_of(signs_of(binarize(items.soft), 32))
    together = whitened(items.soft, basis)
    for row in range(len(together)):
        np.testing.assert_array_equal(whitened(items.soft[row : row + 1], basis)[0], together[row])
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("row", [np.ones(16), -np.ones(16)])
def test_constant_bits_are_no_division_by_zero(row: npt.NDArray[Any]) -> None:
    soft = np.tile(row.astype(np.float32), (6, 1))
    items = SoftAndPacked(soft, binarize(soft))
    found = search_whitened(build_index(binarize(items.soft)), soft[:1], items, 3)
    assert found.rows.tolist() == [[0, 1, 2]]
    np.testing.assert_allclose(found.similarities, 1, atol=1e-6)


def test_clusters_that_are_all_looked_at_give_the_same() -> None:
    items, queries = some_items(300, 32), some_items(5, 32, seed=2).soft
    exact = search_whitened(build_index(binarize(items.soft)), queries, items, 7)
    clusters = build_index(binarize(items.soft), Ivf(nlist=4, nprobe=4))
    found = search_whitened(clusters, queries, items, 7)
    np.testing.assert_array_equal(found.rows, exact.rows)
    np.testing.assert_array_equal(found.similarities, exact.similarities)


def test_what_does_not_fit_is_refused() -> None:
    items = some_items(10, 16)
    index = build_index(binarize(items.soft))
    with pytest.raises(DataError, match="no packed codes"):
        search_whitened(index, items.soft, SoftAndPacked(items.soft, None), 2)
    with pytest.raises(DataError, match="bits of the codes"):
        search_whitened(index, some_items(3, 32).soft, items, 2)
    with pytest.raises(InputError, match=r"knn\.K = 11"):
        search_whitened(index, items.soft, items, 11)


def test_a_basis_without_agreement_is_the_asymmetric_search() -> None:
    """Every code of eight bits once: they are balanced and independent, so W is a scale."""
    codes = np.arange(256, dtype=np.uint8)[:, None]
    signs = signs_of(codes, 8)
    items, queries = SoftAndPacked(signs, codes), some_items(6, 8).soft
    index = build_index(codes)
    found, expected = (
        search(index, queries, items, 30) for search in (search_whitened, search_asymmetric)
    )
    np.testing.assert_allclose(found.similarities, expected.similarities, atol=1e-6)
    direct = search_cosine(build_index(unit_vectors(signs)), queries, 30)
    np.testing.assert_array_equal(expected.rows, direct.rows)
