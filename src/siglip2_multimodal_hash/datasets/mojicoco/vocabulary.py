"""Words of the captions: nouns with their plurals, articles and counts; verbs; sentences."""

from siglip2_multimodal_hash.datasets.mojicoco.categories import CATEGORIES

Noun = tuple[str, str]
"""Singular and plural."""

_SYNONYMS: dict[str, str] = {
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

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six")


def noun(text: str) -> Noun:
    """A noun from "singular" or "singular/plural"."""
    singular, _, plural = text.partition("/")
    return singular, plural or f"{singular}s"


def nouns(text: str) -> tuple[Noun, ...]:
    """Nouns from a list with commas, each as ``noun`` reads it."""
    return tuple(noun(word) for word in text.split(", ") if word)


NOUNS: dict[int, tuple[Noun, ...]] = {
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
    """A phrase for ``count`` (1 or more) of a thing, in words; "several" above six.

    >>> counted("dog", "dogs", 1), counted("knife", "knives", 3)
    ('a dog', 'three knives')
    """
    if count == 1:
        return article(singular)
    return f"{_NUMBERS[count] if count < len(_NUMBERS) else 'several'} {plural}"


VERBS: dict[str, tuple[str, ...]] = {
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
"""Verbs for the things of each manner."""

SMALL_MANNERS = frozenset({"thing", "lying", "food"})
"""Manners of things that lie on a surface."""

NEAR = ("next to", "next to", "near", "beside", "with", "by")
"""Between two things, whatever their places."""

ALONE = (
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

PAIRS = (
    "{A} {doing} {near} {b} {place}.",
    "{A} {doing} {near} {b}.",
    "{A} {near} {b} {place}.",
    "{A} and {b} {place}.",
    "{A} {doing} {place} {near} {b}.",
    "There {be} {a} and {b} {place}.",
)
"""Captions that name two."""

TRIPLES = (
    "{A}, {b} and {c} {place}.",
    "{A} {doing} {near} {b} and {c}.",
    "{A} {doing} {place} {near} {b} and {c}.",
    "{A} and {b} {near} {c} {place}.",
    "{A} with {b} and {c} {place}.",
)
"""Captions that name three."""

ALT_TEXTS = (
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
