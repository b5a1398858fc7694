"""Scenes before anything is drawn, each a pure function of (stream, number)."""

from dataclasses import dataclass

from siglip2_multimodal_hash.datasets.mojicoco.artwork import CLUTTER, PEOPLE, THINGS, Artwork
from siglip2_multimodal_hash.datasets.mojicoco.backgrounds import (
    CANVAS,
    Background,
    sample_background,
)
from siglip2_multimodal_hash.datasets.mojicoco.captions import write_captions
from siglip2_multimodal_hash.datasets.mojicoco.categories import BY_ID, CATEGORIES, PERSON, Category
from siglip2_multimodal_hash.datasets.mojicoco.draws import Draws
from siglip2_multimodal_hash.datasets.mojicoco.layout import Pairing, arrange, possible_pairing
from siglip2_multimodal_hash.datasets.mojicoco.objects import PlacedObject, visible_objects
from siglip2_multimodal_hash.datasets.mojicoco.themes import (
    SLOT_WEIGHTS,
    STRAY_WEIGHTS,
    THEME_WEIGHTS,
    THEMES,
    Theme,
)

KINDS_WEIGHTS = (0.008, 0.11, 0.23, 0.27, 0.21, 0.115, 0.057)
"""Weights of 0, 1, ... 6 different categories in a scene."""

STRAY = 0.09
"""Probability that a thing comes from outside the theme."""

MOST_OBJECTS = 7

TOWER_STREAM = 1 << 32
"""Streams from here on are for the training of towers; datasets take their seeds from below."""

_BY_CATEGORY: dict[int, tuple[Artwork, ...]] = {
    category.id: tuple(a for a in (*THINGS, *PEOPLE) if a.category_id == category.id)
    for category in CATEGORIES
}


@dataclass(frozen=True)
class Scene:
    """Everything needed to draw a scene and to describe it."""

    stream: int
    number: int
    theme: str
    background: Background
    objects: tuple[PlacedObject, ...]
    """Labelled objects and clutter (category id 0), in drawing order, all of them visible."""
    pairing: Pairing | None
    """Two of the objects that belong together, such as a rider and a horse."""
    captions: tuple[str, ...]
    """Five; each names some of the visible objects only."""

    @property
    def labels(self) -> tuple[int, ...]:
        """The category ids of the labelled objects, ascending, each once."""
        return tuple(sorted({o.category_id for o in self.objects if o.category_id}))


def sample_scene(stream: int, number: int) -> Scene:
    """Scene ``number`` of ``stream``; both in 0 ... 2**64 - 1. Any pair costs the same.

    The stream separates uses that must not share a scene: one dataset, the training of towers.
    """
    draws = Draws.seeded(stream, number)
    place = draws.index(THEME_WEIGHTS)
    theme = THEMES[place]
    background = sample_background(theme, draws)
    things = [
        (category, draws.pick(_BY_CATEGORY[category.id]))
        for category in _categories(place, theme, draws)
        for _ in range(_copies(category, theme, draws))
    ][:MOST_OBJECTS]
    pairing = possible_pairing([category.name for category, _ in things], draws)
    clutter = [draws.pick(CLUTTER[draws.pick(theme.clutter)]) for _ in range(draws.below(5))]
    objects, pairing = visible_objects(
        *arrange(theme, background, things, clutter, pairing, draws), CANVAS
    )
    captions = write_captions(theme, objects, pairing, draws)
    return Scene(stream, number, theme.name, background, objects, pairing, captions)


def _categories(place: int, theme: Theme, draws: Draws) -> list[Category]:
    """Different categories for a scene of the theme, people first."""
    kinds = draws.index(KINDS_WEIGHTS)
    chosen = [BY_ID[PERSON]] if kinds and draws.chance(theme.person) else []
    strays = sum(draws.chance(STRAY) for _ in range(kinds - len(chosen)))
    for weights, count in (
        (SLOT_WEIGHTS[place], kinds - len(chosen) - strays),
        (STRAY_WEIGHTS, strays),
    ):
        for position in draws.distinct(weights, count):
            if CATEGORIES[position] not in chosen:
                chosen.append(CATEGORIES[position])
    return chosen


def _copies(category: Category, theme: Theme, draws: Draws) -> int:
    count = 1
    if category.id != PERSON and category.name not in theme.categories:
        return count
    while count < 4 and draws.chance(category.several if count == 1 else 0.4):
        count += 1
    return count
