"""The kinds of places: their contents, looks and captions, and the frequency of each."""

from dataclasses import dataclass
from math import sqrt

from siglip2_multimodal_hash.datasets.mojicoco.categories import BY_NAME, CATEGORIES, PERSON


@dataclass(frozen=True)
class Theme:
    """One kind of place."""

    name: str
    setting: str
    """"room", "outdoors" or "surface", see ``backgrounds``."""
    categories: tuple[str, ...]
    person: float
    """Probability that a scene of this theme shows a person."""
    far: tuple[str, ...]
    """Colours of the wall or the sky; for a surface, of the surface."""
    near: tuple[str, ...]
    """Colours of the floor or the ground."""
    clutter: tuple[str, ...]
    """Kinds of clutter, see ``artwork.CLUTTER``."""
    places: tuple[str, ...]
    """Phrases for where anything is."""
    spots: tuple[str, ...]
    """Phrases for where something small lies or stands."""
    views: tuple[str, ...]
    """Captions of the place alone."""


def _theme(
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


_SKY = "#9AD4F5, #BFE6F7, #DDE9F0, #F7D9B0, #AFC4D8"

THEMES: tuple[Theme, ...] = (
    # Rooms, and a table set for a meal.
    _theme(
        "kitchen",
        "room",
        "sink, refrigerator, oven, microwave, toaster, cup, bottle, bowl, knife, spoon, fork,"
        " chair, dining table, banana, apple, broccoli, carrot, clock, potted plant, cat",
        0.40,
        "#F4E3C1, #DCEBE0, #F7F2E8, #CFE0EE, #F3D3B8",
        "#C9A06B, #B7B7B7, #D9C9AE, #8E7B66",
        "kitchen, kitchen, home, any",
        "in a kitchen, in the kitchen, in a small kitchen",
        "on the kitchen counter, on a counter, on the counter in the kitchen",
        "A clean kitchen with a tiled wall., A small kitchen in an old house.,"
        " A view of somebody's kitchen., The kitchen is bright and tidy.",
    ),
    _theme(
        "meal",
        "surface",
        "dining table, chair, cup, bottle, bowl, wine glass, knife, fork, spoon, pizza, cake,"
        " sandwich, hot dog, donut, broccoli, carrot, orange, vase, cell phone",
        0.42,
        "#C99E66, #A9754A, #EFE6D5, #B9433A, #7F9AA8, #E8C9A0",
        "#C99E66, #A9754A, #EFE6D5, #B9433A",
        "food, kitchen, food, any",
        "at a restaurant, at a cafe, at lunch, at dinner",
        "on a white cloth, at a restaurant, on a wooden board",
        "A meal is served at a restaurant., Lunch is ready to eat., Dinner on a checkered cloth.,"
        " Some tasty looking food.",
    ),
    _theme(
        "living room",
        "room",
        "couch, chair, tv, remote, book, clock, potted plant, vase, cat, dog, laptop, teddy bear,"
        " dining table, cell phone, cup",
        0.45,
        "#EBD9C3, #C9D7C3, #D8C6DE, #F1ECE4, #B7CBD9, #E9C3B4",
        "#A77B4F, #8B6B4A, #C9B79C, #9C4F46, #6F7F8F",
        "home, home, any",
        "in a living room, in the living room, in a cozy room, at home",
        "on the carpet, on the living room floor, on a shelf",
        "A cozy living room., A living room with a picture on the wall.,"
        " A room with a soft carpet., The inside of a nice home.",
    ),
    _theme(
        "bedroom",
        "room",
        "bed, teddy bear, book, clock, cat, laptop, tv, chair, cell phone, hair drier, suitcase,"
        " tie, handbag, remote",
        0.35,
        "#D8C6DE, #C6D8EA, #F2E4DA, #E3EBD0, #F4CFD6",
        "#B08A5F, #D6C4B2, #8A7A93, #A3B1BD",
        "home, home, any",
        "in a bedroom, in the bedroom, in a hotel room",
        "on the bedroom floor, in a hotel room, on a shelf in the bedroom",
        "A tidy bedroom., A small hotel room., A bedroom with the lights on.,"
        " A quiet room for the night.",
    ),
    _theme(
        "bathroom",
        "room",
        "toilet, sink, toothbrush, hair drier, bottle, cup, scissors, cat, potted plant, vase",
        0.25,
        "#CFEAF0, #EAF3F3, #BFD9D0, #F3E9DC, #D5D9E8",
        "#8FA9B5, #C9D3D6, #6C8C95, #D9D2C5",
        "bath, bath, any",
        "in a bathroom, in the bathroom, in a public restroom",
        "on the bathroom floor, on a bathroom shelf, in the bathroom",
        "A clean bathroom with tiles., A very small bathroom., The bathroom is white and clean.,"
        " A public restroom.",
    ),
    _theme(
        "office",
        "room",
        "laptop, keyboard, mouse, cell phone, book, chair, cup, tv, scissors, tie, clock, backpack,"
        " potted plant, dining table",
        0.45,
        "#DDE3E8, #E9E4D8, #C8D4DF, #F2F2F0, #BFC9B8",
        "#7E868C, #A58B6F, #5F6F7F, #B9B2A6",
        "desk, desk, any",
        "in an office, at the office, in a busy office, in a bright office",
        "on a desk, on an office desk, on top of a desk",
        "A messy desk in an office., A bright office., Somebody's work place.,"
        " An office with white walls.",
    ),
    # Places under the open sky.
    _theme(
        "market",
        "outdoors",
        "banana, apple, orange, carrot, broccoli, donut, cake, sandwich, hot dog, umbrella,"
        " handbag, truck, bicycle, bottle, dog",
        0.62,
        _SKY,
        "#B9AFA2, #D2C3A5, #9D958C",
        "food, town, food, any",
        "at a market, at a food stand, at an outdoor market, at a street market",
        "at a food stand, at the market, in a display",
        "A busy outdoor market., A stand that sells food., Market day in a small town.,"
        " Fresh food for sale.",
    ),
    _theme(
        "street",
        "outdoors",
        "car, truck, bus, traffic light, bicycle, motorcycle, stop sign, parking meter,"
        " fire hydrant, handbag, umbrella, backpack, bench, dog, clock",
        0.60,
        _SKY,
        "#7F8387, #6E7276, #9A9A98, #5B5F66",
        "town, sky, town",
        "on the street, on a city street, in the city, on the side of the road,"
        " on a busy street, in front of a building",
        "on the sidewalk, on the side of the road, on the street",
        "A busy city street., A quiet street in the city., Traffic in a big city.,"
        " A street corner on a cloudy day.",
    ),
    _theme(
        "station",
        "outdoors",
        "train, suitcase, backpack, handbag, clock, bench, bus, cell phone, tie, umbrella",
        0.62,
        "#C9CDD2, #B8C6D0, #E1DBD0, #9FB3C1",
        "#8B8782, #A39B90, #70757B",
        "travel, town, any",
        "at a railway station, at the station, on the platform, next to the tracks",
        "on the platform, on the ground at the station",
        "A station in the city., The platform is almost empty., An old railway station.,"
        " The platform of a small station.",
    ),
    _theme(
        "airport",
        "outdoors",
        "airplane, suitcase, backpack, truck, bus, handbag, tie, cell phone",
        0.50,
        "#8CC8F0, #BFE6F7, #D9E6EE, #F5C9A0",
        "#8D9196, #A7AAAD, #767C80",
        "travel, sky, sky",
        "at an airport, at the airport, near the runway, on the tarmac",
        "on the ground at the airport, at the airport",
        "A view of the runway., An airport on a clear day., The sky over an airport.,"
        " A gate at the airport.",
    ),
    _theme(
        "beach",
        "outdoors",
        "surfboard, boat, umbrella, kite, frisbee, bird, dog, chair, backpack, bottle, sports ball",
        0.70,
        "#8FD6F2, #A9E0F0, #C9ECF5, #F9CFA0",
        "#F0D9A0, #E8CB8A, #F5E3B8",
        "beach, beach, sky",
        "at the beach, on the beach, on the sand, by the ocean, near the water",
        "on the sand, on the beach",
        "A sunny day at the beach., The sand and the ocean., A beach on a warm day.,"
        " Waves roll onto the sand.",
    ),
    _theme(
        "lake",
        "outdoors",
        "boat, bird, bench, car, kite, bicycle, dog, airplane",
        0.42,
        "#B5DDF0, #D3E6EA, #F3D2B0, #A3BFD4",
        "#5FA8CF, #4C93B8, #7DBBCB, #3F7FA3",
        "water, sky, nature",
        "by the lake, at the lake, at the harbor, near a dock, near the water",
        "on the dock, by the water",
        "A calm lake on a sunny day., A view of the harbor., The water is very still.,"
        " Clouds over the lake.",
    ),
    _theme(
        "park",
        "outdoors",
        "bench, dog, bird, kite, frisbee, bicycle, sports ball, skateboard, umbrella, cell phone,"
        " backpack, book, baseball glove, fire hydrant",
        0.65,
        _SKY,
        "#8CBF5A, #A5CF6B, #79A84B, #B9C96A",
        "nature, sky, nature",
        "in the park, in a park, on the grass, in a grassy field, on a path in the park",
        "on the grass, on the ground in the park",
        "A green park on a sunny day., A path through the park., Grass and trees in a park.,"
        " A nice day at the park.",
    ),
    _theme(
        "sports field",
        "outdoors",
        "sports ball, baseball bat, baseball glove, tennis racket, frisbee, bench, bottle,"
        " skateboard, chair",
        0.88,
        _SKY,
        "#6FAF4F, #8CC152, #C98B5A, #4F9FB8, #B86F4F",
        "sport, sport, sky",
        "on a field, on the court, at a game, on a sports field, during a match",
        "on the field, on the ground, on the court",
        "A game is about to begin., A view of the sports field., The court is ready for a match.,"
        " A field on game day.",
    ),
    _theme(
        "winter",
        "outdoors",
        "skis, snowboard, backpack, dog, bench, bear",
        0.82,
        "#B9DDF2, #DDEBF3, #A8C4DA, #E9E4EF",
        "#F4F8FB, #E6EFF5, #FFFFFF",
        "snow, snow, sky",
        "in the snow, on a snowy slope, on a mountain, on a ski slope",
        "in the snow, on the snow",
        "A snowy mountain., The slope is covered with snow., A cold day in the mountains.,"
        " Fresh snow on the hill.",
    ),
    _theme(
        "farm",
        "outdoors",
        "horse, cow, sheep, dog, truck, bird",
        0.40,
        _SKY,
        "#9DBF55, #C9B35F, #B5924F, #7FA84B",
        "farm, nature, sky",
        "on a farm, in a field, in a pasture, behind a fence, near a barn",
        "on the ground on a farm, in the grass",
        "A farm in the countryside., A grassy field behind a fence., The pasture is green.,"
        " A dirt road on a farm.",
    ),
    _theme(
        "safari",
        "outdoors",
        "elephant, zebra, giraffe, bear, bird, truck",
        0.18,
        "#BFE0EF, #F5DDB0, #F2B880, #DDE8E0",
        "#D9B865, #C9A24F, #B5B55A, #A8894F",
        "nature, sky, nature",
        "in the wild, on the savanna, at the zoo, in the dry grass, in an enclosure",
        "on the ground, in the dry grass",
        "Dry grass under a wide sky., A view of the savanna., An enclosure at the zoo.,"
        " The plains on a hot day.",
    ),
    _theme(
        "forest",
        "outdoors",
        "bear, bird, backpack, horse, dog, bicycle, chair, cup",
        0.50,
        "#CFE3D0, #A9C7A0, #D9E8E0, #7FA58A",
        "#6B7F45, #8A7A4F, #5F7A4A, #7A6A4A",
        "nature, nature, nature",
        "in the woods, in the forest, at a campsite, on a trail",
        "on the forest floor, on the ground, at a campsite",
        "A trail through the forest., A campsite in the woods., Tall trees in the forest.,"
        " A dark forest in the fall.",
    ),
)


def _membership() -> dict[str, int]:
    counts: dict[str, int] = {}
    for theme in THEMES:
        for name in theme.categories:
            counts[name] = counts.get(name, 0) + 1
    return counts


_THEMES_OF = _membership()

THEME_WEIGHTS: tuple[float, ...] = tuple(
    sum(BY_NAME[name].percent / _THEMES_OF[name] for name in theme.categories) for theme in THEMES
)
"""Frequency of each theme, in proportion to the shares of its categories."""


def _slot_weights(theme: Theme) -> tuple[float, ...]:
    return tuple(
        BY_NAME[category.name].percent / _THEMES_OF[category.name]
        if category.name in theme.categories
        else 0.0
        for category in CATEGORIES
    )


SLOT_WEIGHTS: tuple[tuple[float, ...], ...] = tuple(map(_slot_weights, THEMES))
"""For each theme, the weights of the 80 categories (in ascending id) to fill a place."""

STRAY_WEIGHTS: tuple[float, ...] = tuple(
    0.0 if category.id == PERSON else sqrt(category.percent) for category in CATEGORIES
)
"""The same for things out of place, which any theme may hold."""
