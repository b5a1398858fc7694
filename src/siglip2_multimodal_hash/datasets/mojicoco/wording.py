"""Words that captions are built from, besides nouns."""

from __future__ import annotations

from typing import Final

VERBS: Final[dict[str, tuple[str, ...]]] = {
    "person": ("standing", "standing", "posing", "smiling", "waiting", "looking around"),
    "ride": ("parked", "standing", "parked"),
    "road": ("parked", "driving", "stopped", "parked"),
    "rail": ("stopped", "traveling", "parked", "arriving"),
    "plane": ("flying", "flying", "taking off", "landing"),
    "float": ("floating", "docked", "sitting"),
    "post": ("standing", "mounted", "seen"),
    "bird": ("standing", "perched", "sitting", "looking around"),
    "pet": ("sitting", "standing", "resting", "playing", "looking around"),
    "beast": ("standing", "walking", "grazing", "standing"),
    "flying": ("flying", "lying", "seen"),
    "thing": ("sitting", "sitting", "placed", "standing"),
    "lying": ("lying", "sitting", "placed", "resting"),
    "food": ("sitting", "arranged", "served", "displayed"),
    "furniture": ("sitting", "standing", "placed"),
    "appliance": ("standing", "sitting", "installed"),
    "wall": ("hanging", "mounted", "sitting"),
}
"""What a thing of each manner may be doing."""

SMALL_MANNERS: Final = frozenset({"thing", "lying", "food"})
"""Manners of things that lie on a surface."""

BESIDE: Final = ("next to", "next to", "near", "beside", "with", "by")
"""Between two things, whatever their places."""

ALONE: Final = (
    "{A} {doing} {place}.",
    "{A} {doing} {place}.",
    "{A} {doing} {place}.",
    "{A} {be} {doing} {place}.",
    "There {be} {a} {place}.",
    "{A} {place}.",
    "A picture of {a} {place}.",
    "A close up of {a}.",
    "{A} {doing} by {it}self {place}.",
)
"""Captions that name one thing ("by itself" is left out for several)."""

PAIRS: Final = (
    "{A} {doing} {beside} {b} {place}.",
    "{A} {doing} {beside} {b}.",
    "{A} {beside} {b} {place}.",
    "{A} and {b} {place}.",
    "{A} {doing} {place} {beside} {b}.",
    "There {be} {a} and {b} {place}.",
)
"""Captions that name two."""

TRIPLES: Final = (
    "{A}, {b} and {c} {place}.",
    "{A} {doing} {beside} {b} and {c}.",
    "{A} {doing} {place} {beside} {b} and {c}.",
    "{A} and {b} {beside} {c} {place}.",
    "{A} with {b} and {c} {place}.",
)
"""Captions that name three."""

ALT_TEXTS: Final = (
    "a photo of {list}.",
    "a photo of {list} {place}.",
    "{list} {place}.",
    "{list}.",
    "a picture of {list} {place}.",
    "a drawing of {list}.",
    "a picture with {list} in it.",
    "this is a photo of {list}.",
)
"""Forms of an alternative text, around a list of things."""
