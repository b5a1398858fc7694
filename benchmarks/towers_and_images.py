"""Two towers, and JPEGs to embed, for the benchmarks of the embedding pass.

The base towers have the sizes of google/siglip2-base-patch16-256 and random weights, which take as
long as trained ones; only their vocabulary is the tiny checkpoint's, as looking up a token costs
next to nothing. So nothing is downloaded.
"""

import argparse
import logging
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any, TypeVar

import torch
from transformers import (
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
IMAGE_SIZE = {"base": 480, "tiny": 128}
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


def make_towers(which: str, device: str, amp_dtype: str = "float32") -> Towers:
    """The towers ``base`` or ``tiny``; see the module."""
    backbone = project_params().backbone.model_copy(
        update={"checkpoint": str(TINY), "amp_dtype": amp_dtype}
    )
    if which == "tiny":
        return load_towers(backbone, torch.device(device))
    tokenizer = Siglip2Tokenizer.from_pretrained(TINY)
    layers = {
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
    }
    torch.manual_seed(0)
    model: Any = SiglipModel(
        SiglipConfig(
            text_config={
                **layers,
                "vocab_size": len(tokenizer),
                "max_position_embeddings": 64,
                "bos_token_id": 2,
                "eos_token_id": 1,
            },
            vision_config={**layers, "image_size": 256, "patch_size": 16},
        )
    )
    half = [0.5, 0.5, 0.5]
    processor = SiglipImageProcessorPil(
        size={"height": 256, "width": 256}, image_mean=half, image_std=half, resample=2
    )
    return Towers(
        model=model.float().eval().requires_grad_(False).to(device),
        preprocess=ImagePreprocessor(processor, None, LookUp.like(processor)),
        tokenize=Tokenizer(tokenizer, 64),
        device=torch.device(device),
        dtype=DTYPES[amp_dtype],
    )


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
        size, drawn = IMAGE_SIZE[which], min(count, 128)
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
