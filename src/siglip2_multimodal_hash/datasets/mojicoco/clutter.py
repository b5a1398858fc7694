"""Artworks outside the 80 categories that fill up the scenes, by kind of place."""

from __future__ import annotations

from typing import Final

from siglip2_multimodal_hash.datasets.mojicoco.artwork import Artwork

# Nothing here may pass for one of the 80: no tree like broccoli, no fruit like an orange,
# no animal like a dog, no monitor, no cup.
_SIGNS: Final[dict[str, str]] = {
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

CLUTTER: Final[dict[str, tuple[Artwork, ...]]] = {
    place: tuple(Artwork(sign, 0) for sign in signs.split()) for place, signs in _SIGNS.items()
}
"""Artworks without a category, by kind of place."""
