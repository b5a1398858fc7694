"""The artworks of every category, of people and of clutter: emoji and drawings.

The emoji are OpenMoji's (openmoji.org), licensed CC BY-SA 4.0; the drawings are files of this
project, in ``drawings/``.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from siglip2_multimodal_hash.datasets.mojicoco.categories import BY_NAME, PERSON
from siglip2_multimodal_hash.datasets.mojicoco.vocabulary import Noun, nouns

_DRAWN = "drawn:"


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
    """The activity of a person in it, if any."""

    @property
    def drawing(self) -> str | None:
        """The name of the drawing, or None for an emoji."""
        return self.key.removeprefix(_DRAWN) if self.key.startswith(_DRAWN) else None


# A category's artworks: emoji or names of drawings; after "=" come more specific nouns.
_THINGS: dict[str, str] = {
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


THINGS: tuple[Artwork, ...] = tuple(_things())
"""Every artwork of the 79 categories other than person."""

_TONES = ("", "🏻", "🏼", "🏽", "🏾", "🏿")
_MAN, _WOMAN, _PERSON = "man/men", "woman/women", "person/people"
_BOY, _GIRL, _CHILD = "boy", "girl", "child/children"

# Emoji and words; those with another category in hand (a bicycle, a laptop) are left out.
_FACES: tuple[tuple[str, str], ...] = (
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
_POSES: tuple[tuple[str, str, str], ...] = (
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

# The signs after the joiner that follows man, woman or person.
_TRADES: tuple[tuple[str, str], ...] = (
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

_JOINER = "\u200d"


def _people() -> list[Artwork]:
    artworks = []

    def add(key: str, words: str, activity: str = "") -> None:
        artworks.append(Artwork(key, PERSON, nouns(words), activity))

    for tone in _TONES:
        for sign, words in _FACES:
            add(sign + tone, words)
        for sign, activity, trade in _POSES:
            for gender, word in (("♂", _MAN), ("♀", _WOMAN)):
                key = f"{sign}{tone}{_JOINER}{gender}\ufe0f"
                add(key, f"{word}, {trade}", activity)
        for sign, activity, word in (("💃", "dancing", _WOMAN), ("🕺", "dancing", _MAN)):
            add(sign + tone, word, activity)
        for suffix, trade in _TRADES:
            for sign, word in (("👨", _MAN), ("👩", _WOMAN)):
                add(f"{sign}{tone}{_JOINER}{suffix}", f"{word}, {trade}")
    return artworks


PEOPLE: tuple[Artwork, ...] = tuple(_people())
"""Every artwork of a person."""

# Nothing here may pass for one of the 80: no tree like broccoli, no fruit like an orange,
# no animal like a dog, no monitor, no cup.
_CLUTTER: dict[str, str] = {
    "sky": "☁ ⛅ ☀ 🌤 🌈 🎈 ⭐ 🦋",
    "nature": "🌷 🌹 🌻 🌼 🍄 🌲 🪨 🪵 🍁 🍂 🍀 🐌 🐢 🦋 🐝 🐞 🦔",
    "town": "🏠 🏢 🏬 🏛 📫 🪧 🚧 🌲 🗑 📰 🎈",
    "beach": "🐚 🦀 🌴 🩴 🥥 🐠 ⭐ 🩱 🕶 🏰 🐙",
    "water": "⚓ 🐠 🐟 🐬 🐳 🪝 🏝",
    "snow": "❄ ⛄ 🌲 🏔 🧣 🧤 ⛸ 🎄",
    "home": "🖼 🪟 🚪 🕯 🎁 🎸 🎺 🎻 🥁 🎩 👒 🧢 👟 🧦 🎲 🧩 🔑 💡 🪞",
    "kitchen": "🧂 🥚 🧅 🧄 🫑 🧀 🫖 🥫 🧈 🍳 🧺",
    "food": "🍇 🍉 🍓 🍍 🥑 🌽 🍆 🍟 🥐 🥞 🧀 🍪 🍬 🌮 🍣 🥓",
    "bath": "🧼 🧽 🛁 🚿 🪠 🧻 🪒 🫧 🪞 🪣",
    "desk": "✏ 🖊 📎 📌 📏 📐 🖨 📅 💡 📦 🔍",
    "sport": "🏆 🥇 🎽 👟 🏁 ⛳ 🥅 🧢",
    "travel": "🗺 🎫 🕶 📷 🎩 👒 ⛺",
    "farm": "🌾 🌽 🌻 🪣 🧺 🥚 🪵 🌱 🏚",
    "any": "🎵 ❤ ⭐ 🎈 🔑 🎁 🔔 👑 💎 🧲 🔧 🔨 🎀 🎭 🎨",
}

CLUTTER: dict[str, tuple[Artwork, ...]] = {
    place: tuple(Artwork(sign, 0) for sign in signs.split()) for place, signs in _CLUTTER.items()
}
"""Artworks without a category, by kind of place."""


def _artworks() -> Iterator[Artwork]:
    """Every artwork once: things, people, clutter (a clutter artwork may serve several places)."""
    seen: set[str] = set()
    for artwork in (*THINGS, *PEOPLE, *(a for place in CLUTTER.values() for a in place)):
        if artwork.key not in seen:
            seen.add(artwork.key)
            yield artwork


ARTWORKS: dict[str, Artwork] = {artwork.key: artwork for artwork in _artworks()}
"""Every artwork by its key."""
