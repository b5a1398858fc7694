"""Layout of a scene: sizes, positions by depth, and pairs that belong together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from siglip2_multimodal_hash.datasets.mojicoco.artwork import Artwork
from siglip2_multimodal_hash.datasets.mojicoco.backgrounds import CANVAS, Background
from siglip2_multimodal_hash.datasets.mojicoco.categories import PERSON, Category, Zone
from siglip2_multimodal_hash.datasets.mojicoco.draws import Draws
from siglip2_multimodal_hash.datasets.mojicoco.sprites import aspect
from siglip2_multimodal_hash.datasets.mojicoco.themes import Theme

SMALLEST, LARGEST = 16.0, 82.0
"""Bounds of an object's longest side, in pixels of the canvas."""

PAIR = 0.5
"""Probability that two things that can belong together do."""

_ATTEMPTS = 5


@dataclass(frozen=True)
class Pairing:
    """Two things that belong together, by their positions in the drawing order, and a verb."""

    subject: int
    object: int
    verb: str


@dataclass(frozen=True)
class Placement:
    """An artwork on the canvas, not yet known to be visible. Lengths in pixels of the canvas."""

    artwork: Artwork
    x: float
    y: float
    size: float
    angle: float
    flip: bool
    tint: tuple[float, float, float]
    width: float
    height: float

    @property
    def bottom(self) -> float:
        """The row of its lower edge: the lower, the nearer."""
        return self.y + self.height / 2


@dataclass(frozen=True)
class _Joint:
    """The form of a pair: the subject's offset and size in units of the object's."""

    verb: str
    across: float
    up: float
    size: float
    in_front: bool
    turned: bool = False


_RIDE = _Joint("riding", 0.0, 0.42, 0.95, in_front=False)
_BOARD = _Joint("riding", 0.0, 0.5, 1.0, in_front=True)
_TURNED_BOARD = _Joint("riding", 0.0, 0.5, 1.0, in_front=True, turned=True)
_HOLD = _Joint("holding", 0.42, 0.05, 1.35, in_front=False)
_REST = _Joint("sitting on", 0.0, 0.2, 0.62, in_front=True)
_LIE = _Joint("lying on", 0.0, 0.15, 0.55, in_front=True)
_INSIDE = _Joint("in", 0.0, 0.35, 0.6, in_front=False)
_UPON = _Joint("on", 0.0, 0.45, 0.45, in_front=True)

_JOINTS: dict[tuple[str, str], _Joint] = {
    **{("person", name): _RIDE for name in ("bicycle", "motorcycle", "horse", "elephant")},
    **{("person", name): _TURNED_BOARD for name in ("surfboard", "snowboard")},
    ("person", "skateboard"): _BOARD,
    **{
        ("person", name): _HOLD
        for name in (
            "umbrella",
            "tennis racket",
            "baseball bat",
            "baseball glove",
            "frisbee",
            "kite",
            "cell phone",
            "handbag",
            "toothbrush",
            "hair drier",
            "remote",
            "teddy bear",
        )
    },
    **{("person", name): _REST for name in ("bench", "couch", "chair")},
    **{(pet, name): _REST for pet in ("cat", "dog") for name in ("bench", "couch", "chair")},
    **{(pet, "bed"): _LIE for pet in ("cat", "dog", "teddy bear")},
    ("person", "boat"): _INSIDE,
    **{
        (name, "dining table"): _UPON
        for name in ("pizza", "cake", "bowl", "cup", "bottle", "wine glass", "vase", "laptop")
    },
}


def possible_pairing(names: Sequence[str], draws: Draws) -> Pairing | None:
    """Two of the named things that belong together, if any; positions are those in ``names``."""
    pairs = [
        (i, j)
        for i, one in enumerate(names)
        for j, other in enumerate(names)
        if (one, other) in _JOINTS
    ]
    if not pairs or not draws.chance(PAIR):
        return None
    first, second = draws.pick(pairs)
    return Pairing(first, second, _JOINTS[names[first], names[second]].verb)


def arrange(
    theme: Theme,
    background: Background,
    things: Sequence[tuple[Category, Artwork]],
    clutter: Sequence[Artwork],
    pairing: Pairing | None,
    draws: Draws,
) -> tuple[list[Placement], Pairing | None]:
    """Places for everything, in drawing order: from far to near, or at random on a surface."""
    crowd = 1.12 - 0.05 * len(things)
    placements: list[Placement] = []
    for artwork in clutter:
        size = draws.log_uniform(13, 32)
        zone: Zone = "any" if theme.setting != "outdoors" else _clutter_zone(artwork)
        placements.append(_placement(artwork, size, zone, 8.0, background, placements, draws))
    first = len(placements)
    for category, artwork in things:
        size = draws.log_uniform(30, 78) * category.scale * crowd
        size = min(max(size, SMALLEST), LARGEST)
        tilt = 40.0 if category.manner == "lying" else 9.0
        placements.append(
            _placement(artwork, size, category.zone, tilt, background, placements, draws)
        )
    behind = {}
    if pairing is not None:
        names = (things[pairing.subject][0].name, things[pairing.object][0].name)
        joint = _JOINTS[names]
        pairing = replace(pairing, subject=pairing.subject + first, object=pairing.object + first)
        subject, target = _joined(
            placements[pairing.subject], placements[pairing.object], joint, draws
        )
        placements[pairing.subject], placements[pairing.object] = subject, target
        behind = {pairing.subject: (pairing.object, -0.5 if not joint.in_front else 0.5)}
    depth = [draws.unit() * CANVAS if background.horizon == 0 else p.bottom for p in placements]
    for index, (other, offset) in behind.items():
        depth[index] = depth[other] + offset * 1e-3
    order = sorted(range(len(placements)), key=lambda i: (i >= first, depth[i]))
    if pairing is not None:
        position = {old: new for new, old in enumerate(order)}
        pairing = replace(
            pairing, subject=position[pairing.subject], object=position[pairing.object]
        )
    return [placements[i] for i in order], pairing


def _clutter_zone(artwork: Artwork) -> Zone:
    return "air" if artwork.key in "☁⛅☀🌤🌈🎈⭐🦋" else "ground"


def _placement(
    artwork: Artwork,
    size: float,
    zone: Zone,
    tilt: float,
    background: Background,
    others: Sequence[Placement],
    draws: Draws,
) -> Placement:
    """The best of a few random places: the one that overlaps the others least."""
    wide, high = aspect(artwork.key)
    width, height = wide * size, high * size
    best = None
    for _ in range(_ATTEMPTS):
        x, y = _position(width, height, zone, background, draws)
        overlap = sum(_overlap(x, y, width, height, other) for other in others)
        if best is None or overlap < best[0]:
            best = (overlap, x, y)
        if overlap == 0:
            break
    assert best is not None
    person = artwork.category_id == PERSON
    tint = (
        draws.uniform(0.85, 1.12),
        draws.uniform(0.7, 1.15),
        0.0 if person else draws.uniform(-0.25, 0.25),
    )
    angle = float(round(draws.uniform(-tilt, tilt)))
    return Placement(artwork, best[1], best[2], size, angle, draws.chance(0.5), tint, width, height)


def _position(
    width: float, height: float, zone: Zone, background: Background, draws: Draws
) -> tuple[float, float]:
    """A random middle; up to a tenth of the thing may stick out at the sides."""
    x = draws.uniform(0.4 * width, CANVAS - 0.4 * width)
    lowest = CANVAS - 0.48 * height
    horizon = background.horizon
    if horizon == 0 or zone == "any":
        return x, draws.uniform(0.48 * height, lowest)
    if zone == "air":
        return x, draws.uniform(0.48 * height, max(0.5 * height, horizon - 0.2 * height))
    bottom = draws.uniform(horizon + 6, CANVAS - 1)
    return x, min(max(bottom - height / 2, 0.48 * height), lowest)


def _overlap(x: float, y: float, width: float, height: float, other: Placement) -> float:
    """Shared area of two upright boxes over the smaller one's area."""
    across = (width + other.width) / 2 - abs(x - other.x)
    down = (height + other.height) / 2 - abs(y - other.y)
    if across <= 0 or down <= 0:
        return 0.0
    smaller = min(width * height, other.width * other.height)
    return min(across, width, other.width) * min(down, height, other.height) / smaller


def _joined(
    subject: Placement, target: Placement, joint: _Joint, draws: Draws
) -> tuple[Placement, Placement]:
    """Both parts of a pair, moved together."""
    if joint.turned:
        target = replace(
            target, angle=80.0 + draws.below(20), width=target.height, height=target.width
        )
    size = min(max(target.size * joint.size, SMALLEST), LARGEST)
    scale = size / subject.size
    width, height = subject.width * scale, subject.height * scale
    side = 1.0 if draws.chance(0.5) else -1.0
    x = target.x + side * joint.across * (target.width + width) / 2
    y = target.y - joint.up * (height if joint.up > 0.3 else target.height)
    shift = max(0.0, height / 2 - y)
    target = replace(target, y=min(target.y + shift, CANVAS - 0.4 * target.height))
    moved = replace(
        subject,
        x=min(max(x, 0.4 * width), CANVAS - 0.4 * width),
        y=y + shift,
        size=size,
        width=width,
        height=height,
    )
    return moved, target
