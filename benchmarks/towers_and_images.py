"""Two towers, and JPEGs to embed, for the benchmarks of the embedding pass.

Towers of :data:`SHAPES` have the sizes of a published checkpoint and random weights, which take as
long as trained ones, and the tiny checkpoint's tokenizer. So nothing is downloaded.
"""

import argparse
import logging
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Self, TypeVar

import torch
from transformers import (
    Siglip2Config,
    Siglip2ImageProcessorPil,
    Siglip2Model,
    Siglip2Tokenizer,
    SiglipConfig,
    SiglipImageProcessorPil,
    SiglipModel,
)

from benchmarks.devices import describe_device
from siglip2_multimodal_hash.datasets.containers import Container, FolderContainer, open_container
from siglip2_multimodal_hash.datasets.images import ContainedImages
from siglip2_multimodal_hash.datasets.layout import find_images
from siglip2_multimodal_hash.datasets.mojicoco import generate_mojicoco
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.features.preprocessing import ImagePreprocessor, Tokenizer
from siglip2_multimodal_hash.features.resizing import LookUp
from siglip2_multimodal_hash.features.towers import DTYPES, Towers, load_towers
from siglip2_multimodal_hash.params import Params, load_params

ROOT = Path(__file__).resolve().parents[1]
TINY = ROOT / "models" / "siglip2-tiny-patch16-128"
TOWERS = {"base": "base-patch16-256, random weights", "tiny": TINY.name}
IMAGE_SIZE = {"tiny": 128}
PHOTO_SIZE = 480
# The folder of COCO that stands for wherever the images lie.
FOLDER = "train2014"

Load = TypeVar("Load")


@dataclass(frozen=True)
class Images:
    """JPEGs by name.

    Attributes:
        source: Folder of the images.
        names: Of all of them.
        described: For the result.
    """

    source: ContainedImages
    names: list[str]
    described: str

    def take(self, count: int) -> list[str]:
        """So many names; they repeat where there are fewer files."""
        return list(islice(cycle(self.names), count))


def project_params() -> Params:
    """``params.yaml`` as it is, without the progress bar."""
    params = load_params(ROOT / "params.yaml")
    log = params.runtime.logging.model_copy(update={"progress": False})
    runtime = params.runtime.model_copy(update={"logging": log})
    return params.model_copy(update={"runtime": runtime})


@dataclass(frozen=True)
class Shape:
    """Sizes of both towers, which are alike but for what enters them.

    Attributes:
        side: Of an image in pixels; 0 for NaFlex, whose images have up to 256 patches.
    """

    name: str
    width: int = 768
    mlp_width: int = 3072
    layers: int = 12
    heads: int = 12
    patch: int = 16
    side: int = 256
    vocabulary: int = 256_000

    def smaller(self) -> Self:
        """One layer of a quarter of the width, with heads and positions of the same size."""
        return replace(
            self,
            width=self.width // 4,
            mlp_width=self.mlp_width // 4,
            layers=1,
            heads=self.heads // 4,
            vocabulary=4096,
        )

    def config(self) -> Any:
        """The configuration, as transformers has it."""
        layers = {
            "hidden_size": self.width,
            "intermediate_size": self.mlp_width,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
        }
        text = {
            **layers,
            "vocab_size": self.vocabulary,
            "max_position_embeddings": 64,
            "bos_token_id": 2,
            "eos_token_id": 1,
        }
        vision = {**layers, "patch_size": self.patch}
        if self.side:
            vision["image_size"] = self.side
            return SiglipConfig(text_config=text, vision_config=vision)
        return Siglip2Config(text_config=text, vision_config=vision | {"num_patches": PATCHES})

    def build(self, device: torch.device, dtype: torch.dtype) -> Towers:
        """Both towers with random weights, drawn on the device itself."""
        torch.manual_seed(0)
        with device:
            model: Any = (SiglipModel if self.side else Siglip2Model)(self.config())
        half = [0.5, 0.5, 0.5]
        options: dict[str, Any] = {"image_mean": half, "image_std": half, "resample": 2}
        processor: Any
        if self.side:
            size = {"height": self.side, "width": self.side}
            processor = SiglipImageProcessorPil(size=size, **options)
            preprocess = ImagePreprocessor(processor, None, LookUp.like(processor))
        else:
            processor = Siglip2ImageProcessorPil(patch_size=self.patch, **options)
            preprocess = ImagePreprocessor(processor, PATCHES)
        return Towers(
            model=model.float().eval().requires_grad_(False).to(device),
            preprocess=preprocess,
            tokenize=Tokenizer(Siglip2Tokenizer.from_pretrained(TINY), 64),
            device=device,
            dtype=dtype,
        )


PATCHES = 256
# Looking up a token costs next to nothing, so the benchmarks of time alone have a small vocabulary.
BASE = Shape("base-patch16-256", vocabulary=1280)
# Tschannen et al., 2025; the heads are those of the published config.json.
SHAPES = (
    Shape("base-256"),
    Shape("base-naflex", side=0),
    Shape("so400m-384", width=1152, mlp_width=4304, layers=27, heads=16, patch=14, side=384),
)


def make_towers(which: str, device: str, amp_dtype: str = "float32") -> Towers:
    """The towers ``base`` or ``tiny``; see the module."""
    if which == "base":
        return BASE.build(torch.device(device), DTYPES[amp_dtype])
    backbone = project_params().backbone.model_copy(
        update={"checkpoint": str(TINY), "amp_dtype": amp_dtype}
    )
    return load_towers(backbone, torch.device(device))


def images_for(which: str, photos: Path | None, scratch: Path, count: int) -> Images:
    """Photos of a folder, or renderings of the size that suits the tower.

    Args:
        which: The tower.
        photos: A folder of JPEGs, or None to render into ``scratch``.
        scratch: An empty folder.
        count: Most to render.

    Raises:
        InputError: There is no JPEG in the folder.
    """
    container: Container
    if photos is None:
        size, drawn = IMAGE_SIZE.get(which, PHOTO_SIZE), min(count, 128)
        root, few = scratch / which, {"restval": 1, "val": 1, "test": 1}
        generate_mojicoco(root, train=drawn, **few, image_size=size, seed=2014, workers=1)
        container = open_container(find_images(root)[FOLDER], FOLDER)
        described = f"mojicoco, {size} x {size}"
    else:
        container, described = FolderContainer(photos), "photos of the folder"
    names = [f"{FOLDER}/{file.name}" for file in container.files()]
    names = [name for name in names if name.lower().endswith((".jpg", ".jpeg"))]
    if not names:
        raise InputError(f"{photos}: holds no JPEG", "name a folder of photos, or leave it out")
    return Images(ContainedImages({FOLDER: container}), names, described)


def parse_options(description: str) -> argparse.Namespace:
    """The options that the benchmarks share; what the project logs is shown from then on."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="JPEGs; else they are drawn")
    parser.add_argument("--towers", nargs="+", choices=list(TOWERS), default=list(TOWERS))
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch, and of the reader")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    return parser.parse_args()


def amp_dtype(device: str) -> str:
    """The precision of the towers: autocast on a GPU only."""
    return "bfloat16" if device == "cuda" else "float32"


def measure_each(
    arguments: argparse.Namespace,
    loads: Mapping[tuple[str, str], Load],
    images: Callable[[Load], int],
    measure: Callable[[Towers, Images, Load], dict[str, Any]],
) -> dict[str, Any]:
    """Measure every tower that is asked for, on images of its own.

    Args:
        arguments: See :func:`parse_options`.
        loads: By tower and device.
        images: Number of images of a load.
        measure: Figures of a tower.

    Returns:
        The figures by tower, and what they were measured with.
    """
    torch.set_num_threads(arguments.threads)
    figures: dict[str, Any] = {}
    for which in arguments.towers:
        load = loads[which, arguments.device]
        print(f"{TOWERS[which]}: {load}", flush=True)
        with tempfile.TemporaryDirectory() as scratch:
            found = images_for(which, arguments.images, Path(scratch), images(load))
            towers = make_towers(which, arguments.device, amp_dtype(arguments.device))
            figures[which] = measure(towers, found, load) | {"tower": TOWERS[which]}
    return {
        "device": describe_device(torch.device(arguments.device)),
        "amp_dtype": amp_dtype(arguments.device),
        "threads": arguments.threads,
        **figures,
    }
