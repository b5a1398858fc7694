"""Artworks of people: OpenMoji's men, women and children in six skin tones."""

from __future__ import annotations

from typing import Final

from siglip2_multimodal_hash.datasets.mojicoco.artwork import Artwork
from siglip2_multimodal_hash.datasets.mojicoco.categories import PERSON
from siglip2_multimodal_hash.datasets.mojicoco.nouns import nouns

_TONES: Final = ("", "🏻", "🏼", "🏽", "🏾", "🏿")
_MAN, _WOMAN, _PERSON = "man/men", "woman/women", "person/people"
_BOY, _GIRL, _CHILD = "boy", "girl", "child/children"

# Emoji and words; those with another category in hand (a bicycle, a laptop) are left out.
_FACES: Final[tuple[tuple[str, str], ...]] = (
    ("🧑", _PERSON),
    ("👨", f"{_MAN}, guy"),
    ("👩", f"{_WOMAN}, lady/ladies"),
    ("👦", f"{_BOY}, young boy, {_CHILD}, kid"),
    ("👧", f"{_GIRL}, young girl, {_CHILD}, kid"),
    ("🧒", f"{_CHILD}, kid, little kid"),
    ("🧓", f"{_PERSON}, older person/older people"),
    ("👴", f"{_MAN}, old man/old men"),
    ("👵", f"{_WOMAN}, old woman/old women"),
    ("🧔", f"{_MAN}, bearded man/bearded men"),
    ("👱", f"{_PERSON}, blond person/blond people"),
    ("🧕", f"{_WOMAN}, lady/ladies"),
    ("👸", f"{_WOMAN}, princess/princesses"),
)

# Emoji that take a sign for man or woman, what they are doing, and their trade if they have one.
_POSES: Final[tuple[tuple[str, str, str], ...]] = (
    ("🙋", "waving", ""),
    ("🙆", "stretching", ""),
    ("💁", "talking", ""),
    ("🤷", "shrugging", ""),
    ("🚶", "walking", ""),
    ("🏃", "running", "runner"),
    ("🧍", "standing", ""),
    ("🧎", "kneeling", ""),
    ("🤸", "doing a cartwheel", ""),
    ("🧘", "sitting", ""),
    ("👮", "", "police officer"),
    ("👷", "", "construction worker, worker"),
)

# What follows the joiner after man, woman or person.
_TRADES: Final[tuple[tuple[str, str], ...]] = (
    ("⚕\ufe0f", "doctor"),
    ("🎓", "graduate, student"),
    ("🌾", "farmer"),
    ("🍳", "chef, cook"),
    ("🔧", "mechanic, worker"),
    ("🎤", "singer"),
    ("🎨", "painter, artist"),
    ("✈\ufe0f", "pilot"),
    ("🚀", "astronaut"),
    ("🚒", "firefighter"),
    ("🦰", ""),
    ("🦱", ""),
    ("🦳", ""),
    ("🦲", ""),
)

_JOINER: Final = "\u200d"


def _artwork(key: str, words: str, activity: str = "") -> Artwork:
    return Artwork(key, PERSON, nouns(words), activity)


def _people() -> list[Artwork]:
    artworks = []
    for tone in _TONES:
        for sign, words in _FACES:
            artworks.append(_artwork(sign + tone, words))
        for sign, activity, trade in _POSES:
            for gender, word in (("♂", _MAN), ("♀", _WOMAN)):
                key = f"{sign}{tone}{_JOINER}{gender}\ufe0f"
                artworks.append(_artwork(key, f"{word}, {trade}", activity))
        for sign, activity, word in (("💃", "dancing", _WOMAN), ("🕺", "dancing", _MAN)):
            artworks.append(_artwork(sign + tone, word, activity))
        for suffix, trade in _TRADES:
            for sign, word in (("👨", _MAN), ("👩", _WOMAN)):
                artworks.append(_artwork(f"{sign}{tone}{_JOINER}{suffix}", f"{word}, {trade}"))
    return artworks


PEOPLE: Final[tuple[Artwork, ...]] = tuple(_people())
"""Every artwork of a person."""
