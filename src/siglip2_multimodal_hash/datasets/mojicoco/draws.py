"""Seeded draws: one stream of uniform numbers, so that a scene depends on its seed only."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from math import exp, log
from typing import TypeVar

from numpy.random import PCG64, Generator, SeedSequence

Item = TypeVar("Item")

_BLOCK = 256


class Draws:
    """Draws from a generator's uniform numbers, taken in blocks (single calls cost 1 µs each).

    Only ``Generator.random`` is used: 53 bits of the bit stream over 2**53, the same everywhere.
    """

    def __init__(self, generator: Generator) -> None:
        """Draws from ``generator``, which is moved on by a whole block at a time."""
        self._generator = generator
        self._block: list[float] = []

    @classmethod
    def seeded(cls, *key: int) -> "Draws":
        """Draws that are a pure function of ``key``: integers in 0 ... 2**64 - 1.

        Every integer takes two words of the seed and their number takes one, so that different
        keys give different seeds (``SeedSequence([2**32, 0])`` equals ``SeedSequence([0, 1])``).
        """
        if not all(0 <= part < 1 << 64 for part in key):
            raise ValueError(f"{key}: not integers in 0 ... 2**64 - 1")
        words = [len(key), *(word for part in key for word in (part & 0xFFFFFFFF, part >> 32))]
        return cls(Generator(PCG64(SeedSequence(words))))

    def unit(self) -> float:
        """Uniform in [0, 1)."""
        if not self._block:
            self._block = self._generator.random(_BLOCK).tolist()
        return self._block.pop()

    def uniform(self, low: float, high: float) -> float:
        """Uniform in [low, high)."""
        return low + (high - low) * self.unit()

    def log_uniform(self, low: float, high: float) -> float:
        """Uniform on the logarithmic scale, in [low, high]; both above 0; to 3 decimals.

        The rounding hides what mathematical libraries differ in.
        """
        return round(exp(self.uniform(log(low), log(high))), 3)

    def below(self, count: int) -> int:
        """An integer in [0, count)."""
        return int(self.unit() * count)

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return self.unit() < probability

    def pick(self, items: Sequence[Item]) -> Item:
        """One of ``items``, all equally likely."""
        return items[int(self.unit() * len(items))]

    def index(self, weights: Sequence[float]) -> int:
        """A position, likely in proportion to its weight (weights need not sum to 1)."""
        totals = list(accumulate(weights))
        return min(bisect_right(totals, self.unit() * totals[-1]), len(totals) - 1)

    def distinct(self, weights: Sequence[float], count: int) -> list[int]:
        """Up to ``count`` different positions of positive weight, drawn one after the other."""
        left = list(weights)
        chosen = []
        for _ in range(min(count, sum(weight > 0 for weight in left))):
            position = self.index(left)
            chosen.append(position)
            left[position] = 0.0
        return chosen
