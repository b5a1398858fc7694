"""What a kind of place is: what it holds, looks like, and is called in captions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Theme:
    """One kind of place."""

    name: str
    setting: str
    """"room", "outdoors" or "surface", see `backgrounds`."""
    categories: tuple[str, ...]
    person: float
    """Probability that a scene of this theme shows a person."""
    far: tuple[str, ...]
    """Colours of the wall or the sky; for a surface, of the surface."""
    near: tuple[str, ...]
    """Colours of the floor or the ground."""
    clutter: tuple[str, ...]
    """Kinds of clutter, see `clutter.CLUTTER`."""
    places: tuple[str, ...]
    """Phrases for where anything is."""
    spots: tuple[str, ...]
    """Phrases for where something small lies or stands."""
    views: tuple[str, ...]
    """Captions of the place alone."""


def theme(
    name: str,
    setting: str,
    categories: str,
    person: float,
    far: str,
    near: str,
    clutter: str,
    places: str,
    spots: str,
    views: str,
) -> Theme:
    """A theme from lists written as texts with commas."""
    texts = (categories, far, near, clutter, places, spots, views)
    kinds, far_colours, near_colours, clutters, phrases, ledges, captions = (
        tuple(text.split(", ")) for text in texts
    )
    return Theme(
        name=name,
        setting=setting,
        categories=kinds,
        person=person,
        far=far_colours,
        near=near_colours,
        clutter=clutters,
        places=phrases,
        spots=ledges,
        views=captions,
    )
