"""All kinds of places, and how often each place and each category in it is drawn."""

from __future__ import annotations

from math import sqrt
from typing import Final

from siglip2_multimodal_hash.datasets.mojicoco.categories import BY_NAME, CATEGORIES, PERSON
from siglip2_multimodal_hash.datasets.mojicoco.theme import Theme
from siglip2_multimodal_hash.datasets.mojicoco.themes_indoors import INDOORS
from siglip2_multimodal_hash.datasets.mojicoco.themes_outdoors import OUTDOORS

THEMES: Final[tuple[Theme, ...]] = (*INDOORS, *OUTDOORS)


def _membership() -> dict[str, int]:
    counts: dict[str, int] = {}
    for theme in THEMES:
        for name in theme.categories:
            counts[name] = counts.get(name, 0) + 1
    return counts


_THEMES_OF: Final = _membership()

THEME_WEIGHTS: Final[tuple[float, ...]] = tuple(
    sum(BY_NAME[name].percent / _THEMES_OF[name] for name in theme.categories) for theme in THEMES
)
"""How often each theme occurs: in proportion to what its categories need for their shares."""


def _slot_weights(theme: Theme) -> tuple[float, ...]:
    return tuple(
        BY_NAME[category.name].percent / _THEMES_OF[category.name]
        if category.name in theme.categories
        else 0.0
        for category in CATEGORIES
    )


SLOT_WEIGHTS: Final[tuple[tuple[float, ...], ...]] = tuple(map(_slot_weights, THEMES))
"""For each theme, how likely each of the 80 categories (in ascending id) fills a place."""

STRAY_WEIGHTS: Final[tuple[float, ...]] = tuple(
    0.0 if category.id == PERSON else sqrt(category.percent) for category in CATEGORIES
)
"""The same for things out of place, which any theme may hold."""
