"""Figures of a set of codes, by hand."""

import numpy as np
import pytest

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.evaluation.code_quality import (
    bit_entropies,
    bit_means,
    code_quality,
    quantisation_error,
)

# Bits 0 and 1 are equal, bit 2 is their opposite, bit 3 is independent, the rest are constant.
CODES = np.array([[0b11000000], [0b11010000], [0b00100000], [0b00110000]], dtype=np.uint8)


def test_golden() -> None:
    assert bit_means(CODES).tolist() == [0.5, 0.5, 0.5, 0.5, 0, 0, 0, 0]
    assert bit_entropies(CODES).tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
    assert code_quality(CODES) == pytest.approx(
        {
            "bit_mean": 0.25,
            "bit_mean_lowest": 0,
            "bit_mean_highest": 0.5,
            "bit_entropy": 0.5,
            "bit_entropy_lowest": 0,
            "constant_bits": 4,
            # Six pairs of the four that vary: |r| = 1 for three, 0 for the three with bit 3.
            "correlation": 0.5,
            "distinct_share": 1,
            "largest_bucket": 0.25,
        }
    )


def test_entropy_of_a_biased_bit() -> None:
    codes = np.array([[128], [0], [0], [0]], dtype=np.uint8)
    assert bit_entropies(codes)[0] == pytest.approx(0.811278124459)


def test_correlation_is_numpys() -> None:
    codes = np.random.default_rng(0).integers(0, 256, (200, 2), dtype=np.uint8)
    bits = np.unpackbits(codes, axis=1).astype(float)
    r = np.abs(np.corrcoef(bits.T))
    expected = r[~np.eye(16, dtype=bool)].mean()
    assert code_quality(codes)["correlation"] == pytest.approx(expected, abs=1e-12)


def test_collapsed_codes() -> None:
    figures = code_quality(np.zeros((5, 2), dtype=np.uint8))
    assert (figures["distinct_share"], figures["largest_bucket"]) == (0.2, 1)
    assert (figures["constant_bits"], figures["correlation"]) == (16, 0)


def test_quantisation_error_by_hand() -> None:
    soft = np.array([[1.0, -1.0, 0.0, 0.5], [-0.5, 2.0, 1.0, -1.0]], dtype=np.float32)
    assert quantisation_error(soft) == pytest.approx((1 + 0.25 + 0.25 + 1) / 8)
    wide = np.tile(soft, 2)
    assert code_quality(np.zeros((2, 1), np.uint8), wide)["quantisation_error"] == pytest.approx(
        2.5 / 8
    )


def test_bad_input_is_named() -> None:
    with pytest.raises(DataError, match="columns of the soft codes: 4, bits: 8"):
        code_quality(CODES, np.ones((4, 4), dtype=np.float32))
    with pytest.raises(DataError, match="rows of the soft codes: 3, of the codes: 4"):
        code_quality(CODES, np.ones((3, 8), dtype=np.float32))
    with pytest.raises(DataError, match="codes: no row"):
        code_quality(CODES[:0])
    with pytest.raises(DataError, match="soft codes holds NaN"):
        quantisation_error(np.full((1, 8), np.nan, dtype=np.float32))
