"""Places under the open sky."""

from __future__ import annotations

from typing import Final

from siglip2_multimodal_hash.datasets.mojicoco.theme import Theme, theme

_SKY: Final = "#9AD4F5, #BFE6F7, #DDE9F0, #F7D9B0, #AFC4D8"

OUTDOORS: Final[tuple[Theme, ...]] = (
    theme(
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
    theme(
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
    theme(
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
    theme(
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
    theme(
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
    theme(
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
    theme(
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
    theme(
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
    theme(
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
    theme(
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
    theme(
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
    theme(
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
