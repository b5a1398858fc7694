"""Tiny random SigLIP checkpoints of both kinds, and a dataset of a dozen images."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from siglip2_multimodal_hash.datasets.images import ImageSource
from siglip2_multimodal_hash.datasets.index import DatasetIndex, make_index
from siglip2_multimodal_hash.features.runner import embed_dataset
from siglip2_multimodal_hash.params import RuntimeParams
from tests.features.tiny import (
    Embed,
    Pictures,
    make_backbone,
    make_runtime,
    open_archive,
    save_checkpoint,
)

CAPTIONS = (
    ("A cat on a mat.", "a cat"),
    ("Two dogs.", "TWO dogs.", "a dog and a cat"),
    ("a zebra",),
    ("a cat", "two dogs."),
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small lose more to the barriers between threads than they gain."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("checkpoints")
    return {kind: save_checkpoint(root / kind, kind) for kind in ("siglip", "siglip2")}


@pytest.fixture(params=["siglip", "siglip2"])
def checkpoint(request: pytest.FixtureRequest, checkpoints: dict[str, Path]) -> Path:
    """Each of both kinds in turn; read-only."""
    return checkpoints[request.param]


@pytest.fixture(scope="session")
def pictures() -> Pictures:
    """Twelve images of different sizes, smooth enough for JPEG."""
    generator = np.random.default_rng(7)
    found = []
    for number in range(12):
        coarse = generator.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        size = (40 + 13 * number, 120 - 6 * number)
        found.append(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))
    return found


@pytest.fixture
def archive(tmp_path: Path, pictures: Pictures) -> Path:
    """The images as COCO ships them: in an archive."""
    path = tmp_path / "val2014.zip"
    with zipfile.ZipFile(path, "w") as target:
        for number, picture in enumerate(pictures):
            file = tmp_path / "one.jpg"
            picture.save(file, quality=95)
            target.write(file, f"val2014/{number:03d}.jpg")
            file.unlink()
    return path


@pytest.fixture(scope="session")
def index(pictures: Pictures) -> DatasetIndex:
    """Twelve images, three classes; captions repeat up to case and blanks."""
    count = len(pictures)
    columns = {
        "image_id": range(1, count + 1),
        "file_name": [f"val2014/{number:03d}.jpg" for number in range(count)],
        "split": ["train"] * 8 + ["val"] * 2 + ["test"] * 2,
        "width": [picture.width for picture in pictures],
        "height": [picture.height for picture in pictures],
        "bytes": [1000] * count,
    }
    labels = np.eye(3, dtype=np.uint8)[np.arange(count) % 3]
    captions = [CAPTIONS[number % len(CAPTIONS)] for number in range(count)]
    return make_index(columns, captions, labels, (1, 2, 3), ("airplane", "cat", "dog"))


@pytest.fixture
def embed(index: DatasetIndex, archive: Path, tmp_path: Path) -> Embed:
    """Embed the dozen images into the folder of that name."""

    def run(
        checkpoint: Path,
        name: str = "out",
        /,
        *,
        runtime: RuntimeParams | None = None,
        images: ImageSource | None = None,
        shard_seconds: float = 30,
        **backbone: Any,
    ) -> Path:
        embed_dataset(
            index,
            images or open_archive(archive),
            make_backbone(checkpoint, **backbone),
            runtime or make_runtime(),
            tmp_path / name,
            shard_seconds,
        )
        return tmp_path / name

    return run
