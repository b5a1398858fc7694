"""The annotation files of COCO 2014, whole or a part: labels and captions are real where they are.

Outlines, boxes, the captions of train2014 and whatever else is missing are drawn with a seed, so
that counts, bytes per record and density are COCO's: 123,287 images, 896,782 object annotations.
"""

import gzip
import json
import math
import random
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from benchmarks.real_labels import RealLabels, read_real_labels
from siglip2_multimodal_hash.datasets.split_file import SplitImage, write_split

COUNTS = {"train2014": (82_783, 604_907), "val2014": (40_504, 291_875)}
CAPTIONS = 5
HELD_OUT = 5_000  # images of val, and of test
_OUTLINES = 500
_POINTS = 38  # of an outline: a record of train2014 then has COCO's 740 bytes
_SCENES = 12  # kinds of drawn images; each kind has categories of its own, as COCO has
_WORDS = ("a", "man", "riding", "the", "red", "horse", "on", "top", "of", "two", "white", "boats")


@dataclass(frozen=True)
class Labels:
    """``ids`` [n] of a folder's labelled images, ``labels`` bool [n, 80], 80 ``categories``."""

    ids: list[int]
    labels: np.ndarray
    categories: list[tuple[int, str]]


def write_synthetic_coco(
    root: Path, real: Path | None, seed: int = 0, *, images: int | None = None, image: bytes = b"x"
) -> None:
    """Write annotations, archives of images and the split file of one COCO 2014.

    Args:
        root: The folder to fill.
        real: A folder with ``labels80_trainval2014.npz``, ``captions_val2014.json.gz`` and
            ``karpathy/``; ``None`` draws these too.
        seed: Of all that is drawn.
        images: About so many, the same share of each split; None: all.
        image: The file that each image is. Archives, because a file has no more than 65,000 hard
            links on common file systems.
    """
    generator = random.Random(seed)
    whole = sum(count for count, _ in COUNTS.values())
    share = min(1, images / whole) if images else 1
    labels = read_real_labels(real) if real else None
    (root / "annotations").mkdir(parents=True)
    (root / "images").mkdir()
    real_captions = _real_captions(real)
    taken = set(real_captions)
    split: list[SplitImage] = []
    for folder, (count, objects) in COUNTS.items():
        found = _labels_of(labels, folder) if labels else _drawn_labels(generator, folder)
        taken.update(found.ids)
        ids = set(real_captions) if real and folder == "val2014" else set(found.ids)
        while len(ids) < count:
            one = generator.randrange(600_000)
            if one not in taken:
                ids.add(one)
                taken.add(one)
        members = _split(sorted(ids), folder, real, generator)
        if share < 1:
            members = _part(members, share, generator)
        kept = [one.cocoid for one in members]
        known = np.isin(found.ids, kept)
        found = Labels(np.array(found.ids)[known].tolist(), found.labels[known], found.categories)
        texts = {one: real_captions.get(one) or _captions(generator) for one in kept}
        _write_folder(root, folder, found, round(objects * share), texts, image, generator)
        split += members
    write_split(root / "karpathy_split.json", split)


def _part(members: list[SplitImage], share: float, generator: random.Random) -> list[SplitImage]:
    """A share of each split, in order of the ids."""
    by_split: dict[str, list[SplitImage]] = {}
    for one in members:
        by_split.setdefault(one.split, []).append(one)
    parts = (generator.sample(all_, math.ceil(len(all_) * share)) for all_ in by_split.values())
    return sorted(chain.from_iterable(parts))


def _write_folder(
    root: Path,
    folder: str,
    found: Labels,
    objects: int,
    texts: dict[int, list[str]],
    image: bytes,
    generator: random.Random,
) -> None:
    images = json.dumps([_image(folder, one) for one in texts])
    path = root / "annotations" / f"instances_{folder}.json"
    with path.open("w", encoding="utf-8") as stream:
        stream.write(f'{{"info": {{}}, "licenses": [], "images": {images}, "annotations": [')
        for number, record in enumerate(_objects(found, objects, generator)):
            stream.write(("," if number else "") + record)
        named = [{"id": one, "name": name} for one, name in found.categories]
        stream.write(f'], "categories": {json.dumps(named)}}}')
    records = [
        {"image_id": one, "id": 10 * one + which, "caption": text}
        for one, captions in texts.items()
        for which, text in enumerate(captions)
    ]
    generator.shuffle(records)
    path = root / "annotations" / f"captions_{folder}.json"
    path.write_text(
        f'{{"images": {images}, "annotations": {json.dumps(records)}}}', encoding="utf-8"
    )
    with zipfile.ZipFile(root / "images" / f"{folder}.zip", "w") as archive:
        for one in texts:
            archive.writestr(f"{folder}/{_name(folder, one)}", image)


def _image(folder: str, image_id: int) -> dict[str, object]:
    return {
        "license": 1 + image_id % 7,
        "file_name": _name(folder, image_id),
        "coco_url": f"http://images.cocodataset.org/{folder}/{_name(folder, image_id)}",
        "height": 427,
        "width": 640,
        "date_captured": "2013-11-14 11:18:45",
        "flickr_url": f"http://farm{image_id % 9}.staticflickr.com/{image_id}_z.jpg",
        "id": image_id,
    }


def _name(folder: str, image_id: int) -> str:
    return f"COCO_{folder}_{image_id:012d}.jpg"


def _objects(found: Labels, objects: int, generator: random.Random) -> Iterator[str]:
    """One object for each label of each image, and more of them up to the number of ``objects``."""
    rows, columns = np.nonzero(found.labels)
    pairs = list(zip(rows.tolist(), columns.tolist(), strict=True))
    pairs += generator.choices(pairs, k=max(0, objects - len(pairs)))
    generator.shuffle(pairs)
    outlines = [
        json.dumps([[round(generator.random() * 640, 2) for _ in range(2 * _POINTS)]])
        for _ in range(_OUTLINES)
    ]
    for number, (row, column) in enumerate(pairs):
        yield (
            f'{{"segmentation": {outlines[number % _OUTLINES]},"area": {number % 9000}.5,'
            f'"iscrowd": {int(number % 87 == 0)},"image_id": {found.ids[row]},'
            f'"bbox": [473.07,395.93,38.65,28.67],"category_id": {found.categories[column][0]},'
            f'"id": {number + 1}}}'
        )


def _labels_of(found: RealLabels, folder: str) -> Labels:
    chosen = found.is_val == (folder == "val2014")
    return Labels(found.ids[chosen].tolist(), found.labels[chosen].astype(bool), found.categories)


def _drawn_labels(generator: random.Random, folder: str) -> Labels:
    """A long tail over 80 categories, 2.9 per image, most of them of one scene."""
    images = COUNTS[folder][0]
    offset = 0 if folder == "train2014" else 300_000
    ids = generator.sample(range(offset, offset + 300_000), images)
    random_ = np.random.default_rng(generator.getrandbits(32))
    scenes = random_.integers(_SCENES, size=(images, 1)) == np.arange(80) % _SCENES
    likelier = np.where(scenes, _SCENES / 2, _SCENES / 2 / (_SCENES - 1))  # 1 on average
    chances = np.minimum(0.5, 0.6 / np.arange(1, 81) ** 0.95 * likelier)
    return Labels(
        ids,
        random_.random((images, 80)) < chances,
        [(one, f"category {one}") for one in range(1, 81)],
    )


def _real_captions(real: Path | None) -> dict[int, list[str]]:
    """Those of val2014, by image."""
    captions: dict[int, list[str]] = {}
    if real is not None:
        with gzip.open(real / "captions_val2014.json.gz", "rt", encoding="utf-8") as stream:
            for one in json.load(stream)["annotations"]:
                captions.setdefault(one["image_id"], []).append(one["caption"])
    return captions


def _captions(generator: random.Random) -> list[str]:
    return [" ".join(generator.choices(_WORDS, k=10)) + "." for _ in range(CAPTIONS)]


def _split(
    ids: list[int], folder: str, real: Path | None, generator: random.Random
) -> list[SplitImage]:
    """Karpathy's split of a folder, drawn where his lists are not at hand."""
    if folder == "train2014":
        return [SplitImage(one, folder, _name(folder, one), "train") for one in ids]
    if real is None:
        chosen = generator.sample(ids, 2 * HELD_OUT)
        val, test = set(chosen[:HELD_OUT]), set(chosen[HELD_OUT:])
    else:
        lists = ((real / "karpathy" / f"{name}_ids.txt").read_text() for name in ("val", "test"))
        val, test = (set(map(int, text.split())) for text in lists)
    names = ("val" if one in val else "test" if one in test else "restval" for one in ids)
    return [
        SplitImage(one, folder, _name(folder, one), name)
        for one, name in zip(ids, names, strict=True)
    ]
