"""Rooms, and a table set for a meal."""

from __future__ import annotations

from typing import Final

from siglip2_multimodal_hash.datasets.mojicoco.theme import Theme, theme

INDOORS: Final[tuple[Theme, ...]] = (
    theme(
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
    theme(
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
    theme(
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
    theme(
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
    theme(
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
    theme(
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
)
