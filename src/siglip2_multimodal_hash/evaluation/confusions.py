"""Confusions between classes: false tags, next to the classes that images show together."""

from typing import Any

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import ratio

SHOWN = 3


def confusions(
    labels: npt.NDArray[np.uint8], decided: npt.NDArray[np.bool_], names: tuple[str, ...]
) -> list[list[dict[str, Any]]]:
    """The classes that each class is confused with most.

    A class d is confused with c where images of c get the tag d without showing d. Frequent tags
    are wrong everywhere, so the classes are ordered by how many such images there are beyond those
    expected of an image without d, whatever else it shows.

    Args:
        labels: uint8 [Q, C].
        decided: bool [Q, C].
        names: C names.

    Returns:
        For each class c up to three of ``category`` (d), ``images`` (of c, tagged d without d),
        ``expected`` (as many of any image without d), ``share`` (of the images of c without d) and
        ``co_occurrence`` (share of the images of c that do show d).
    """
    true = labels.astype(np.float64)
    false = decided & ~labels.astype(bool)
    images = true.sum(axis=0)
    together = true.T @ true
    wrong = true.T @ false.astype(np.float64)
    # Images of c without d; the rate of the false tag d over all images without d.
    without = images[:, None] - together
    rate = ratio(false.sum(axis=0).astype(np.float64), len(true) - images)
    expected = without * rate
    share, shown_too = ratio(wrong, without), ratio(together, images[:, None])
    excess = wrong - expected
    order = np.argsort(-excess, axis=1, kind="stable")[:, :SHOWN]
    return [
        [
            {
                "category": names[d],
                "images": int(wrong[c, d]),
                "expected": float(expected[c, d]),
                "share": float(share[c, d]),
                "co_occurrence": float(shown_too[c, d]),
            }
            for d in order[c]
            if excess[c, d] > 0
        ]
        for c in range(len(names))
    ]
