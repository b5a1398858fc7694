"""Packing, Hamming distances and unit vectors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.retrieval.codes import (
    binarize,
    hamming_distances,
    unit_vectors,
    unpack,
)


def test_bit_is_one_only_where_the_soft_code_is_positive() -> None:
    soft = np.array([[0.5, -0.5, 0.0, -0.0, 1e-30, -2.0, 3.0, 0.1]], dtype=np.float32)
    assert binarize(soft).tolist() == [[0b10001011]]


def test_unpack_inverts_binarize() -> None:
    soft = np.random.default_rng(0).standard_normal((7, 48)).astype(np.float32)
    assert np.array_equal(unpack(binarize(soft), bits=48), soft > 0)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_binarize_refuses_what_has_no_sign(bad: float) -> None:
    soft = np.zeros((3, 8), dtype=np.float32)
    soft[1, 4] = bad
    with pytest.raises(DataError, match=r"soft codes holds NaN or infinity \(first in row 1\)"):
        binarize(soft)


def test_binarize_refuses_a_width_that_does_not_fill_bytes() -> None:
    with pytest.raises(InputError, match=r"hash\.bits = 12"):
        binarize(np.ones((2, 12), dtype=np.float32))


def test_unpack_refuses_another_width() -> None:
    with pytest.raises(DataError, match=r"codes have 16 bits, expected hash\.bits = 64"):
        unpack(np.zeros((1, 2), dtype=np.uint8), bits=64)


def test_codes_must_be_packed_bytes() -> None:
    with pytest.raises(DataError, match=r"codes: int64 of shape \(2, 2\)"):
        unpack(np.zeros((2, 2), dtype=np.int64))


def test_hamming_distances_by_hand() -> None:
    queries = np.array([[0b00000000], [0b11110000]], dtype=np.uint8)
    database = np.array([[0b00000001], [0b11111111], [0b11110000]], dtype=np.uint8)
    assert hamming_distances(queries, database).tolist() == [[1, 8, 4], [5, 4, 0]]


@given(width=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))
def test_hamming_distances_count_the_bits_that_differ(width: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    queries = generator.integers(0, 256, (3, width), dtype=np.uint8)
    database = generator.integers(0, 256, (5, width), dtype=np.uint8)
    expected = (unpack(queries)[:, None] != unpack(database)[None]).sum(axis=2)
    assert np.array_equal(hamming_distances(queries, database), expected)


def test_hamming_distances_refuse_codes_of_two_models() -> None:
    with pytest.raises(DataError, match="bits of the query codes: 8, of the database codes: 16"):
        hamming_distances(np.zeros((1, 1), np.uint8), np.zeros((1, 2), np.uint8))


def test_unit_vectors_have_length_one_and_zero_stays_zero() -> None:
    units = unit_vectors(np.array([[3.0, 4.0], [0.0, 0.0], [1e-30, 0.0]], dtype=np.float32))
    assert np.allclose(units, [[0.6, 0.8], [0.0, 0.0], [1.0, 0.0]])
    assert units.dtype == np.float32


def test_unit_vectors_do_not_depend_on_the_other_rows() -> None:
    vectors = np.random.default_rng(1).standard_normal((5000, 5)).astype(np.float32)
    assert np.array_equal(unit_vectors(vectors)[4095:4098], unit_vectors(vectors[4095:4098]))
