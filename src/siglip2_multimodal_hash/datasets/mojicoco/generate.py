"""The dataset's files: official archives, annotations and Karpathy's split, in COCO 2014's form."""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from PIL import Image

from siglip2_multimodal_hash.datasets.mojicoco.annotations import (
    Json,
    Picture,
    captions,
    instances,
    karpathy,
)
from siglip2_multimodal_hash.datasets.mojicoco.draws import Draws
from siglip2_multimodal_hash.datasets.mojicoco.render import render_scene
from siglip2_multimodal_hash.datasets.mojicoco.scenes import TOWER_STREAM, sample_scene
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.files import replacing
from siglip2_multimodal_hash.progress import phase

JPEG_QUALITY = 90

_CHUNK = 64
"""Images that a worker draws at a time."""

_MEMBER_TIME = (2014, 8, 1, 0, 0, 0)

_Drawn = tuple[Picture, bytes]


@dataclass(frozen=True)
class _Order:
    """One image to make."""

    id: int
    split: str
    size: int
    stream: int

    @property
    def folder(self) -> str:
        return "train2014" if self.split == "train" else "val2014"


def generate_mojicoco(
    root: Path,
    *,
    train: int,
    restval: int,
    val: int,
    test: int,
    image_size: int,
    seed: int,
    workers: int,
) -> None:
    """Write the whole dataset to ``root``, or nothing at all.

    As in COCO 2014 under Karpathy's split, the ``train`` images are those of train2014, and
    val2014 holds restval, val and test in mixed order. The bytes depend on the sizes, on
    ``image_size`` and on ``seed`` only, not on ``workers``.

    Args:
        root: The folder to make.
        train: Number of images in Karpathy's "train"; likewise ``restval``, ``val`` and ``test``.
        restval: See ``train``.
        val: See ``train``.
        test: See ``train``.
        image_size: Width and height of the images in pixels.
        seed: The stream of scenes to draw from, below ``scenes.TOWER_STREAM``.
        workers: Processes to draw with; 1 or fewer draws in this one.

    Raises:
        DataError: The seed is out of range.
        InputError: ``root`` is there already.
    """
    if not 0 <= seed < TOWER_STREAM:
        raise DataError(f"seed {seed} is not in 0 ... {TOWER_STREAM - 1}", "choose another seed")
    orders = _orders(
        {"train": train, "restval": restval, "val": val, "test": test}, image_size, seed
    )
    shown = phase("mojicoco", len(orders), "image")
    with replacing(root) as folder, shown as progress, _drawing(orders, workers) as drawn:
        for part in ("annotations", "images"):
            (folder / part).mkdir(parents=True)
        pictures = []
        for name in ("train2014", "val2014"):
            count = sum(order.folder == name for order in orders)
            pictures += _write_folder(folder, name, count, drawn, progress.update)
        by_folder = sorted(pictures, key=lambda picture: picture.folder != "val2014")
        _write_json(folder / "karpathy_split.json", karpathy(by_folder))


def _orders(sizes: dict[str, int], image_size: int, seed: int) -> list[_Order]:
    """Images to make, in ascending ids: train2014 first, then val2014 in mixed order."""
    mixed = [split for split in ("restval", "val", "test") for _ in range(sizes[split])]
    draws = Draws.seeded(seed)
    for last in range(len(mixed) - 1, 0, -1):
        other = draws.below(last + 1)
        mixed[last], mixed[other] = mixed[other], mixed[last]
    splits = ["train"] * sizes["train"] + mixed
    return [_Order(number, split, image_size, seed) for number, split in enumerate(splits, start=1)]


@contextmanager
def _drawing(orders: Sequence[_Order], workers: int) -> Iterator[Iterator[_Drawn]]:
    """The finished images in order, drawn by ``workers`` processes."""
    if workers <= 1:
        yield map(_draw, orders)
        return
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    try:
        yield pool.map(_draw, orders, chunksize=_CHUNK)
    finally:
        pool.shutdown(cancel_futures=True)


def _draw(order: _Order) -> _Drawn:
    scene = sample_scene(order.stream, order.id)
    rendered = render_scene(scene, order.size)
    buffer = BytesIO()
    Image.fromarray(rendered.image).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    picture = Picture(
        order.id, order.folder, order.split, order.size, rendered.objects, scene.captions
    )
    return picture, buffer.getvalue()


def _write_folder(
    root: Path, name: str, count: int, drawn: Iterator[_Drawn], advance: Callable[[], object]
) -> list[Picture]:
    """Write the next ``count`` images to the archive ``name``, and its annotations."""
    pictures = []
    with ZipFile(root / "images" / f"{name}.zip", "w", ZIP_STORED) as archive:
        for _ in range(count):
            picture, jpeg = next(drawn)
            archive.writestr(_member(f"{name}/{picture.file_name}"), jpeg)
            pictures.append(picture)
            advance()
    _write_json(root / "annotations" / f"instances_{name}.json", instances(pictures))
    _write_json(root / "annotations" / f"captions_{name}.json", captions(pictures))
    return pictures


def _member(name: str) -> ZipInfo:
    """An archive member whose header is the same on every platform and at any time."""
    member = ZipInfo(name, _MEMBER_TIME)
    member.create_system = 3
    member.external_attr = 0o644 << 16
    return member


def _write_json(path: Path, value: Json) -> None:
    """Write one line of JSON with sorted keys, as in COCO's own files."""
    path.write_text(json.dumps(value, sort_keys=True) + "\n", encoding="utf-8")
