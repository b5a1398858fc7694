"""Which artworks show which category: OpenMoji's glyphs and this project's own drawings.

OpenMoji is by the OpenMoji project (openmoji.org), licensed CC BY-SA 4.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from siglip2_multimodal_hash.datasets.mojicoco.categories import BY_NAME
from siglip2_multimodal_hash.datasets.mojicoco.nouns import Noun, nouns

_DRAWN: Final = "drawn:"


@dataclass(frozen=True)
class Artwork:
    """One picture of one category."""

    key: str
    """The emoji, or "drawn:" and the name of a drawing."""
    category_id: int
    """0 for clutter."""
    nouns: tuple[Noun, ...] = ()
    """More specific words for what it shows (a "taxi" for a car), often none."""
    activity: str = ""
    """What a person in it is doing, if anything."""

    @property
    def drawing(self) -> str | None:
        """The name of the drawing, or None for an emoji."""
        return self.key.removeprefix(_DRAWN) if self.key.startswith(_DRAWN) else None


# A category's artworks: emoji or names of drawings; after "=" come more specific nouns.
_THINGS: Final[dict[str, str]] = {
    "bicycle": "🚲 bicycle.blue bicycle.green",
    "car": "🚗 🚘 🚙=jeep 🚕=taxi,cab 🚖=taxi,cab 🏎=race_car 🚓=police_car 🚔=police_car",
    "motorcycle": "🏍 🛵=scooter",
    "airplane": "✈ 🛩=propeller_plane 🛫=jet 🛬=jet",
    "bus": "🚌=coach/coaches 🚍 🚎",
    "train": "🚂=steam_train 🚆 🚄 🚅 🚊=tram 🚃 🚋=tram 🚈 🚇",
    "truck": "🚛 🛻=pickup_truck 🚒=fire_truck,fire_engine 🚚=delivery_van,van",
    "boat": "⛵=sailboat 🚤=speedboat 🛥 ⛴=ship 🚢=ship 🛶=canoe 🛳=ship",
    "traffic light": "🚥 🚦 traffic_light.black traffic_light.yellow",
    "fire hydrant": "fire_hydrant.red fire_hydrant.yellow fire_hydrant.blue",
    "stop sign": "🛑 stop_sign.pole",
    "parking meter": "parking_meter.grey parking_meter.blue parking_meter.double",
    "bench": "bench.wood bench.green bench.plain",
    "bird": "🐦 🦅=eagle 🦆=duck 🦉=owl 🦜=parrot 🕊=dove 🐧=penguin 🦢=swan"
    " 🦩=flamingo 🪿=goose/geese 🐓=rooster 🐔=chicken 🐥=chick 🦃=turkey 🐦\u200d⬛",
    "cat": "🐱 🐈 🐈\u200d⬛ 😺",
    "dog": "🐶 🐕 🦮 🐕\u200d🦺 🐩=poodle",
    "horse": "🐴 🐎",
    "sheep": "🐑 🐏=ram",
    "cow": "🐄 🐮 🐂=bull 🐃=bull",
    "elephant": "🐘 elephant.face",
    "bear": "🐻=brown_bear 🐻\u200d❄\ufe0f=polar_bear 🐼=panda_bear,panda",
    "zebra": "🦓 zebra.face",
    "giraffe": "🦒 giraffe.face",
    "backpack": "🎒 backpack.blue backpack.green",
    "umbrella": "☂ 🌂 ⛱ umbrella.red umbrella.blue",
    "handbag": "👜 👛 handbag.red handbag.pink",
    "tie": "👔 tie.red tie.blue tie.green",
    "suitcase": "🧳 💼=briefcase suitcase.blue suitcase.pink",
    "frisbee": "🥏 frisbee.red frisbee.yellow frisbee.top",
    "skis": "🎿 skis.red skis.blue",
    "snowboard": "snowboard.purple snowboard.green snowboard.red",
    "sports ball": "⚽=soccer_ball 🏀=basketball 🏐=volleyball 🎾=tennis_ball ⚾=baseball"
    " 🏈=football 🏉=rugby_ball 🥎=softball",
    "kite": "🪁 kite.rainbow kite.blue kite.delta",
    "baseball bat": "bat.wood bat.brown bat.metal",
    "baseball glove": "glove.brown glove.tan",
    "skateboard": "🛹 skateboard.red skateboard.wood",
    "surfboard": "surfboard.white surfboard.yellow surfboard.pink",
    "tennis racket": "racket.red racket.blue racket.green",
    "bottle": "🍾 🍼 \ue0cb \ue0cc bottle.green bottle.brown",
    "wine glass": "🍷 🥂 wine_glass.white wine_glass.red",
    "cup": "☕=coffee_cup 🍵=teacup 🥤 🧋 mug.blue=mug,coffee_mug mug.red=mug,coffee_mug",
    "fork": "fork.steel fork.gold",
    "knife": "🔪=kitchen_knife/kitchen_knives knife.wood knife.red",
    "spoon": "🥄 spoon.wood=wooden_spoon spoon.steel",
    "bowl": "🥗=bowl_of_salad/bowls_of_salad 🍚=bowl_of_rice/bowls_of_rice"
    " 🍜 🍲 bowl.blue bowl.green",
    "banana": "🍌 bananas",
    "apple": "🍎=red_apple 🍏=green_apple",
    "sandwich": "🥪 🍔=burger,hamburger submarine",
    "orange": "🍊 \ue0c0",
    "broccoli": "🥦 florets",
    "carrot": "🥕 carrot.bunch",
    "hot dog": "🌭",
    "pizza": "🍕=slice_of_pizza/slices_of_pizza pizza.pepperoni pizza.veggie",
    "donut": "🍩 donut.pink donut.chocolate",
    "cake": "🎂=birthday_cake 🍰=piece_of_cake/pieces_of_cake 🧁=cupcake cake.chocolate cake.pink",
    "chair": "🪑 💺 \ue141=armchair chair.wood chair.red chair.office=office_chair"
    " chair.office_blue=office_chair",
    "couch": "🛋 couch.red couch.green couch.purple",
    "potted plant": "🪴 plant.fern plant.tall",
    "bed": "🛏 bed.red bed.green",
    "dining table": "table.wood table.cloth table.round",
    "toilet": "🚽 toilet.front toilet.pink",
    "tv": "📺 🖥=monitor,computer_monitor tv.old tv.flat",
    "laptop": "💻 laptop.blue laptop.dark",
    "mouse": "🖱 mouse.white mouse.black",
    "remote": "remote.black remote.white remote.blue",
    "keyboard": "⌨ keyboard.black keyboard.white",
    "cell phone": "📱 phone.apps phone.pink",
    "microwave": "microwave.grey microwave.red microwave.white",
    "oven": "oven.white oven.grey oven.hood",
    "toaster": "toaster.red toaster.grey toaster.blue",
    "sink": "sink.white sink.grey sink.pedestal",
    "refrigerator": "refrigerator.white refrigerator.blue refrigerator.double",
    "book": "📕 📗 📘 📙 📖=open_book 📚 📔 \ue06d",
    "clock": "🕐 🕗 🕥 ⏰=alarm_clock 🕰 clock.red clock.wood",
    "vase": "🏺 ⚱ vase.blue vase.red vase.green",
    "scissors": "✂ scissors.blue scissors.green",
    "teddy bear": "🧸 teddy.tan teddy.pink",
    "hair drier": "hair_drier.pink hair_drier.purple hair_drier.red",
    "toothbrush": "🪥 toothbrush.red toothbrush.green",
}


def _things() -> list[Artwork]:
    artworks = []
    for name, entries in _THINGS.items():
        for entry in entries.split():
            sign, _, words = entry.partition("=")
            key = sign if not sign[0].isascii() else _DRAWN + sign
            specific = nouns(words.replace(",", ", ").replace("_", " "))
            artworks.append(Artwork(key, BY_NAME[name].id, specific))
    return artworks


THINGS: Final[tuple[Artwork, ...]] = tuple(_things())
"""Every artwork of the 79 categories other than person."""
