"""The validation images that a protocol without any cuts from its own: seeded, the same anywhere.

Model selection must never see the queries of test, so ``standard`` and ``hashnet`` need some.
"""

import hashlib
from collections.abc import Iterable

LARGEST_SHARE = 5


def choose_val(cocoids: Iterable[int], size: int, seed: int) -> frozenset[int]:
    """Choose ``size`` images, but never more than a fifth of those given.

    An image's rank is a digest of the seed and its id: it depends on neither the order nor a
    generator's version, and in a subset of the dataset the same images come first.

    Args:
        cocoids: What to choose from.
        size: How many to choose; 5,000 of COCO's are well below a fifth.
        seed: Of the ranks.
    """
    ranked = sorted((_rank(cocoid, seed), cocoid) for cocoid in cocoids)
    return frozenset(cocoid for _, cocoid in ranked[: val_size(len(ranked), size)])


def val_size(available: int, size: int) -> int:
    """The number of images that :func:`choose_val` chooses."""
    return min(size, available // LARGEST_SHARE)


def _rank(cocoid: int, seed: int) -> bytes:
    return hashlib.sha256(f"{seed} {cocoid}".encode()).digest()
