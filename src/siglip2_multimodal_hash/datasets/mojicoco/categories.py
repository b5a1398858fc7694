"""COCO's 80 categories, and how this project's scenes use them."""

from dataclasses import dataclass
from typing import Literal

Zone = Literal["ground", "air", "any"]
"""Possible places of a thing: on the ground below the horizon, above it, or either."""


@dataclass(frozen=True)
class Category:
    """One COCO category."""

    id: int
    name: str
    supercategory: str
    scale: float
    """Size relative to the scene's typical object."""
    zone: Zone
    manner: str
    """Group of its verbs in captions, see ``vocabulary.VERBS``."""
    several: float
    """Probability that a scene with this category shows more than one of it."""
    percent: float
    """Share of images aimed at, in percent: about COCO's own, but not below 2."""


_C = Category

CATEGORIES: tuple[Category, ...] = (
    # id, name, supercategory, scale, zone, manner, several, percent
    _C(1, "person", "person", 1.15, "ground", "person", 0.34, 53.0),
    _C(2, "bicycle", "vehicle", 1.05, "ground", "ride", 0.12, 2.8),
    _C(3, "car", "vehicle", 1.1, "ground", "road", 0.35, 13.0),
    _C(4, "motorcycle", "vehicle", 1.05, "ground", "road", 0.15, 3.0),
    _C(5, "airplane", "vehicle", 1.15, "air", "plane", 0.15, 2.5),
    _C(6, "bus", "vehicle", 1.25, "ground", "road", 0.15, 3.3),
    _C(7, "train", "vehicle", 1.3, "ground", "rail", 0.06, 3.6),
    _C(8, "truck", "vehicle", 1.2, "ground", "road", 0.15, 5.2),
    _C(9, "boat", "vehicle", 1.15, "ground", "float", 0.25, 2.6),
    _C(10, "traffic light", "outdoor", 0.9, "any", "post", 0.25, 3.5),
    _C(11, "fire hydrant", "outdoor", 0.9, "ground", "post", 0.05, 2.5),
    _C(13, "stop sign", "outdoor", 0.95, "any", "post", 0.05, 2.8),
    _C(14, "parking meter", "outdoor", 0.9, "ground", "post", 0.12, 2.5),
    _C(15, "bench", "outdoor", 1.1, "ground", "furniture", 0.15, 4.7),
    _C(16, "bird", "animal", 0.85, "any", "bird", 0.35, 2.8),
    _C(17, "cat", "animal", 0.95, "ground", "pet", 0.12, 3.5),
    _C(18, "dog", "animal", 1.0, "ground", "pet", 0.14, 3.8),
    _C(19, "horse", "animal", 1.15, "ground", "beast", 0.25, 2.5),
    _C(20, "sheep", "animal", 1.0, "ground", "beast", 0.45, 3.0),
    _C(21, "cow", "animal", 1.15, "ground", "beast", 0.35, 3.0),
    _C(22, "elephant", "animal", 1.25, "ground", "beast", 0.3, 2.5),
    _C(23, "bear", "animal", 1.1, "ground", "beast", 0.15, 2.1),
    _C(24, "zebra", "animal", 1.15, "ground", "beast", 0.4, 2.5),
    _C(25, "giraffe", "animal", 1.25, "ground", "beast", 0.3, 2.5),
    _C(27, "backpack", "accessory", 0.85, "ground", "thing", 0.08, 4.2),
    _C(28, "umbrella", "accessory", 1.05, "any", "thing", 0.18, 3.3),
    _C(31, "handbag", "accessory", 0.8, "ground", "thing", 0.08, 4.6),
    _C(32, "tie", "accessory", 0.8, "any", "thing", 0.08, 2.8),
    _C(33, "suitcase", "accessory", 0.95, "ground", "thing", 0.25, 2.5),
    _C(34, "frisbee", "sports", 0.8, "any", "flying", 0.05, 2.5),
    _C(35, "skis", "sports", 1.0, "ground", "thing", 0.05, 3.2),
    _C(36, "snowboard", "sports", 1.0, "ground", "thing", 0.08, 3.7),
    _C(37, "sports ball", "sports", 0.75, "any", "thing", 0.12, 4.2),
    _C(38, "kite", "sports", 1.0, "air", "flying", 0.3, 2.5),
    _C(39, "baseball bat", "sports", 0.9, "ground", "thing", 0.08, 2.9),
    _C(40, "baseball glove", "sports", 0.8, "ground", "thing", 0.06, 3.2),
    _C(41, "skateboard", "sports", 0.9, "ground", "thing", 0.08, 3.2),
    _C(42, "surfboard", "sports", 1.1, "ground", "thing", 0.14, 3.5),
    _C(43, "tennis racket", "sports", 0.9, "ground", "thing", 0.12, 3.4),
    _C(44, "bottle", "kitchen", 0.85, "ground", "thing", 0.3, 6.5),
    _C(46, "wine glass", "kitchen", 0.85, "ground", "thing", 0.3, 2.6),
    _C(47, "cup", "kitchen", 0.75, "ground", "thing", 0.28, 7.0),
    _C(48, "fork", "kitchen", 0.75, "any", "lying", 0.1, 2.9),
    _C(49, "knife", "kitchen", 0.8, "any", "lying", 0.12, 3.4),
    _C(50, "spoon", "kitchen", 0.75, "any", "lying", 0.12, 2.9),
    _C(51, "bowl", "kitchen", 0.9, "ground", "thing", 0.22, 5.4),
    _C(52, "banana", "food", 0.85, "ground", "food", 0.4, 2.5),
    _C(53, "apple", "food", 0.8, "ground", "food", 0.4, 2.6),
    _C(54, "sandwich", "food", 0.9, "ground", "food", 0.15, 2.3),
    _C(55, "orange", "food", 0.8, "ground", "food", 0.4, 2.8),
    _C(56, "broccoli", "food", 0.85, "ground", "food", 0.15, 2.9),
    _C(57, "carrot", "food", 0.8, "ground", "food", 0.35, 2.4),
    _C(58, "hot dog", "food", 0.85, "ground", "food", 0.2, 2.7),
    _C(59, "pizza", "food", 1.0, "ground", "food", 0.15, 2.7),
    _C(60, "donut", "food", 0.85, "ground", "food", 0.35, 2.5),
    _C(61, "cake", "food", 1.0, "ground", "food", 0.12, 2.9),
    _C(62, "chair", "furniture", 1.05, "ground", "furniture", 0.35, 10.0),
    _C(63, "couch", "furniture", 1.3, "ground", "furniture", 0.08, 4.4),
    _C(64, "potted plant", "furniture", 0.95, "ground", "thing", 0.18, 3.8),
    _C(65, "bed", "furniture", 1.35, "ground", "furniture", 0.05, 3.0),
    _C(67, "dining table", "furniture", 1.35, "ground", "furniture", 0.08, 9.5),
    _C(70, "toilet", "furniture", 1.1, "ground", "furniture", 0.05, 2.8),
    _C(72, "tv", "electronic", 1.1, "any", "thing", 0.06, 3.9),
    _C(73, "laptop", "electronic", 0.95, "ground", "thing", 0.1, 3.6),
    _C(74, "mouse", "electronic", 0.7, "ground", "thing", 0.05, 2.5),
    _C(75, "remote", "electronic", 0.75, "any", "lying", 0.12, 2.7),
    _C(76, "keyboard", "electronic", 0.95, "ground", "thing", 0.06, 2.6),
    _C(77, "cell phone", "electronic", 0.75, "any", "lying", 0.1, 3.9),
    _C(78, "microwave", "appliance", 1.0, "any", "appliance", 0.03, 2.4),
    _C(79, "oven", "appliance", 1.2, "ground", "appliance", 0.05, 2.5),
    _C(80, "toaster", "appliance", 0.85, "ground", "appliance", 0.03, 2.6),
    _C(81, "sink", "appliance", 1.1, "ground", "appliance", 0.08, 3.8),
    _C(82, "refrigerator", "appliance", 1.25, "ground", "appliance", 0.03, 2.1),
    _C(84, "book", "indoor", 0.8, "ground", "thing", 0.35, 4.5),
    _C(85, "clock", "indoor", 0.8, "any", "wall", 0.08, 3.8),
    _C(86, "vase", "indoor", 0.85, "ground", "thing", 0.15, 2.9),
    _C(87, "scissors", "indoor", 0.75, "any", "lying", 0.05, 2.4),
    _C(88, "teddy bear", "indoor", 0.95, "ground", "thing", 0.2, 2.6),
    _C(89, "hair drier", "indoor", 0.8, "any", "lying", 0.04, 2.4),
    _C(90, "toothbrush", "indoor", 0.75, "any", "lying", 0.15, 2.5),
)

BY_ID: dict[int, Category] = {category.id: category for category in CATEGORIES}
BY_NAME: dict[str, Category] = {category.name: category for category in CATEGORIES}

PERSON = 1
"""The person category's id."""
