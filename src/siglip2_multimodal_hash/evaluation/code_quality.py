"""Quality of a set of codes: the use of its bits.

Bits should be balanced and uncorrelated (Weiss, Torralba and Fergus, Spectral Hashing, NIPS 2008),
and soft codes close to -1 and +1 (Liu et al., Deep Supervised Hashing, CVPR 2016).
"""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import Floats, check_size, check_vectors
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.retrieval.codes import unpack

logger = logging.getLogger(__name__)


# Below and above, codes are degenerate; a fit that works has 0.9 and a hundredth.
LEAST_ENTROPY, LARGEST_BUCKET = 0.1, 0.5


def bit_means(codes: npt.NDArray[Any]) -> Floats:
    """Share of ones of each bit, float64 [bits]; 0.5 is balanced.

    Args:
        codes: Packed, uint8 [N, bits / 8], N >= 1.

    Raises:
        DataError: Not packed codes, or none.
    """
    means: Floats = _bits(codes).mean(axis=0, dtype=np.float64)
    return means


def bit_entropies(codes: npt.NDArray[Any]) -> Floats:
    """Entropy of each bit, float64 [bits]: -p log2 p - (1 - p) log2(1 - p), 0 to 1.

    Raises:
        DataError: Not packed codes, or none.
    """
    ones = bit_means(codes)
    both = np.stack([ones, 1 - ones])
    logs = np.log2(both, out=np.zeros_like(both), where=both > 0)
    entropies: Floats = np.abs((both * logs).sum(axis=0))
    return entropies


def code_quality(codes: npt.NDArray[Any], soft: npt.NDArray[Any] | None = None) -> dict[str, float]:
    """Summary of a set of codes.

    - ``bit_mean``, ``bit_mean_lowest``, ``bit_mean_highest``: of :func:`bit_means` over bits.
    - ``bit_entropy``, ``bit_entropy_lowest``: of :func:`bit_entropies` over bits.
    - ``correlation``: mean over pairs of bits of |r| (Pearson). A constant bit has no correlation
      and is left out; ``constant_bits`` counts them. 0 where fewer than two bits vary.
    - ``distinct_share``: distinct codes / N. ``largest_bucket``: share of the items that have the
      most common code.
    - ``quantisation_error``: mean of (|h| - 1)^2 over the soft codes h, where they are given.

    Args:
        codes: Packed, uint8 [N, bits / 8].
        soft: float [N, bits], or None.

    Raises:
        DataError: No codes, NaN, or arrays that do not fit each other.
    """
    means, entropies = bit_means(codes), bit_entropies(codes)
    counts = np.unique(codes, axis=0, return_counts=True)[1]
    figures = {
        "bit_mean": float(means.mean()),
        "bit_mean_lowest": float(means.min()),
        "bit_mean_highest": float(means.max()),
        "bit_entropy": float(entropies.mean()),
        "bit_entropy_lowest": float(entropies.min()),
        "constant_bits": int((entropies == 0).sum()),
        "correlation": _mean_correlation(_bits(codes)),
        "distinct_share": len(counts) / len(codes),
        "largest_bucket": int(counts.max()) / len(codes),
    }
    if soft is not None:
        figures["quantisation_error"] = quantisation_error(soft)
        check_size("rows of the soft codes", len(soft), "of the codes", len(codes))
        check_size("columns of the soft codes", soft.shape[1], "bits", len(means))
    return figures


def warn_of_degenerate(
    split: str, quality: Mapping[str, float] | None, head: Mapping[str, Any]
) -> None:
    """Warn of codes that carry little information, and name possible causes.

    Args:
        split: Split of the codes, for the message.
        quality: See :func:`code_quality`; None where there is no hash layer.
        head: The head in the form of its ``config.json``.
    """
    if quality is None or (
        quality["bit_entropy"] >= LEAST_ENTROPY and quality["largest_bucket"] <= LARGEST_BUCKET
    ):
        return
    causes = [
        f"set {key} to {value}"
        for key, value, off in (
            ("hash.normalize", "batchnorm", head.get("normalize", "none") == "none"),
            ("classifier.use_bias", "true", not head["classifier_bias"]),
        )
        if off
    ]
    causes.append("see the warnings of `train` about the lengths of image.npy and caption.npy")
    logger.warning(
        "codes of %s carry little information: entropy of a bit %.3f of 1, %.1f%% of the codes are "
        "distinct, %.1f%% of the images share one; retrieval and votes by them are near chance\n"
        "  -> %s",
        split,
        quality["bit_entropy"],
        100 * quality["distinct_share"],
        100 * quality["largest_bucket"],
        "; ".join(causes),
    )


def quantisation_error(soft: npt.NDArray[Any]) -> float:
    """Mean of (|h| - 1)^2 over soft codes, float [N, bits].

    Raises:
        DataError: NaN or infinity, not a float matrix, or no row.
    """
    soft = check_vectors("soft codes", soft)
    if len(soft) == 0:
        raise DataError("soft codes: no row", "give the split more images")
    return float(np.square(np.abs(soft) - 1).mean(dtype=np.float64))


def _mean_correlation(bits: npt.NDArray[np.uint8]) -> float:
    """Mean |r| over pairs of the bits that vary; bits uint8 [N, bits]."""
    varying = bits[:, (bits != bits[0]).any(axis=0)]
    width = varying.shape[1]
    if width < 2:
        return 0.0
    centred = varying - varying.mean(axis=0, dtype=np.float64)
    products = centred.T @ centred
    deviations = np.sqrt(np.diag(products))
    correlations = np.abs(products / np.outer(deviations, deviations))
    return float((correlations.sum() - np.trace(correlations)) / (width * (width - 1)))


def _bits(codes: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    bits = unpack(codes)
    if len(bits) == 0:
        raise DataError("codes: no row", "give the split more images")
    return bits
