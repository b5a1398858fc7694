"""What captions call the categories: synonyms, plurals, articles and counts."""

from __future__ import annotations

from typing import Final

from siglip2_multimodal_hash.datasets.mojicoco.categories import CATEGORIES

Noun = tuple[str, str]
"""Singular and plural."""

_SYNONYMS: Final[dict[str, str]] = {
    # category: words, the common one first; "singular/plural" where the plural is not regular
    "person": "person/people",
    "bicycle": "bicycle, bike",
    "motorcycle": "motorcycle, motorbike",
    "airplane": "airplane, plane",
    "bus": "bus/buses",
    "traffic light": "traffic light, traffic signal, stop light",
    "fire hydrant": "fire hydrant, hydrant",
    "bench": "bench/benches",
    "sheep": "sheep/sheep",
    "backpack": "backpack, rucksack",
    "handbag": "handbag, purse",
    "tie": "tie, necktie",
    "suitcase": "suitcase, piece of luggage/pieces of luggage",
    "skis": "pair of skis/pairs of skis",
    "sports ball": "ball",
    "baseball bat": "baseball bat, bat",
    "baseball glove": "baseball glove, baseball mitt",
    "tennis racket": "tennis racket, racket",
    "wine glass": "wine glass/wine glasses, glass of wine/glasses of wine",
    "knife": "knife/knives",
    "sandwich": "sandwich/sandwiches",
    "broccoli": "piece of broccoli/pieces of broccoli",
    "hot dog": "hot dog, hotdog",
    "donut": "donut, doughnut",
    "couch": "couch/couches, sofa",
    "potted plant": "potted plant, house plant",
    "dining table": "dining table, table",
    "tv": "tv, television",
    "laptop": "laptop, laptop computer",
    "mouse": "computer mouse/computer mice, mouse/mice",
    "remote": "remote, remote control",
    "keyboard": "keyboard, computer keyboard",
    "cell phone": "cell phone, phone, mobile phone",
    "microwave": "microwave, microwave oven",
    "oven": "oven, stove",
    "refrigerator": "refrigerator, fridge",
    "scissors": "pair of scissors/pairs of scissors",
    "teddy bear": "teddy bear, stuffed bear",
    "hair drier": "hair drier, hair dryer, blow dryer",
    "toothbrush": "toothbrush/toothbrushes",
}

_NUMBERS: Final = ("no", "one", "two", "three", "four", "five", "six")


def noun(text: str) -> Noun:
    """A noun from "singular" or "singular/plural"."""
    singular, _, plural = text.partition("/")
    return singular, plural or f"{singular}s"


def nouns(text: str) -> tuple[Noun, ...]:
    """Nouns from a list with commas, each as `noun` reads it."""
    return tuple(noun(word) for word in text.split(", ") if word)


NOUNS: Final[dict[int, tuple[Noun, ...]]] = {
    category.id: nouns(_SYNONYMS.get(category.name, category.name)) for category in CATEGORIES
}
"""Words for each category id, the common one first."""


def article(phrase: str) -> str:
    """The phrase with "a" or "an" before it, by the sound of its first letter.

    >>> article("orange"), article("unicycle"), article("hour glass")
    ('an orange', 'a unicycle', 'an hour glass')
    """
    vowel = phrase[0].lower() in "aeiou" and not phrase.lower().startswith(("uni", "use", "one"))
    return f"{'an' if vowel or phrase.lower().startswith('hour') else 'a'} {phrase}"


def counted(singular: str, plural: str, count: int) -> str:
    """A phrase for `count` (1 or more) of a thing, in words; "several" above six.

    >>> counted("dog", "dogs", 1), counted("knife", "knives", 3)
    ('a dog', 'three knives')
    """
    if count == 1:
        return article(singular)
    return f"{_NUMBERS[count] if count < len(_NUMBERS) else 'several'} {plural}"
