"""A tiny COCO 2014: ten images, three categories, two captions per image, all four splits."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image

Container = Literal["folder", "zip", "root_zip"]

CATEGORIES = {18: "dog", 1: "person", 5: "airplane"}  # not ascending: the reader has to sort
LABELS: dict[str, dict[int, list[int]]] = {
    "train2014": {10: [1], 30: [1, 5], 50: [], 70: [18]},
    "val2014": {20: [5], 40: [1], 60: [18], 80: [], 90: [1, 5, 18], 100: [5]},
}
SPLIT = {
    **dict.fromkeys((10, 30, 50, 70), "train"),
    **dict.fromkeys((20, 40), "restval"),
    **dict.fromkeys((60, 80), "val"),
    **dict.fromkeys((90, 100), "test"),
}


class TinyCoco:
    """The JSON files as dicts, to be changed by a test before ``write``."""

    def __init__(self) -> None:
        self.instances: dict[str, Any] = {}
        self.captions: dict[str, Any] = {}
        for folder, labels in LABELS.items():
            images = [
                {"id": one, "file_name": self.name(folder, one), "width": 8, "height": 6}
                for one in labels
            ]
            pairs = [(one, category) for one, found in labels.items() for category in found]
            self.instances[folder] = {
                "info": {},
                "images": [dict(image) for image in images],
                "annotations": [
                    {
                        "id": 1000 + position,
                        "image_id": one,
                        "category_id": category,
                        "iscrowd": 0,
                        "bbox": [0, 0, 4, 4],
                        "segmentation": [[0, 0, 4, 0, 4, 4]],
                    }
                    for position, (one, category) in enumerate(pairs)
                ],
                "categories": [{"id": one, "name": name} for one, name in CATEGORIES.items()],
            }
            self.captions[folder] = {
                "images": images,
                # The higher id first: the reader has to sort.
                "annotations": [
                    {"id": 10 * one + which, "image_id": one, "caption": f"{which} of {one}"}
                    for one in labels
                    for which in (2, 1)
                ],
            }
        self.split: dict[str, Any] = {
            "images": [
                {
                    "cocoid": one,
                    "filepath": folder,
                    "filename": self.name(folder, one),
                    "split": SPLIT[one],
                    "sentences": [{"raw": f"{which} of {one}"} for which in (1, 2)],
                }
                for folder, labels in LABELS.items()
                for one in labels
            ],
            "dataset": "coco",
        }

    @staticmethod
    def name(folder: str, image_id: int) -> str:
        return f"COCO_{folder}_{image_id:012d}.jpg"

    @staticmethod
    def jpeg(image_id: int) -> bytes:
        pixels = np.random.default_rng(image_id).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "JPEG")
        return stream.getvalue()

    def image(self, image_id: int) -> Any:
        """The record of an image in the instances file."""
        records = (one for content in self.instances.values() for one in content["images"])
        return next(one for one in records if one["id"] == image_id)

    def write_json(self, root: Path) -> None:
        (root / "annotations").mkdir(parents=True, exist_ok=True)
        for folder in LABELS:
            for kind, content in (("instances", self.instances), ("captions", self.captions)):
                path = root / "annotations" / f"{kind}_{folder}.json"
                path.write_text(json.dumps(content[folder]), encoding="utf-8")
        (root / "karpathy_split.json").write_text(json.dumps(self.split), encoding="utf-8")

    def write(self, root: Path, container: Container = "folder") -> Path:
        self.write_json(root)
        images = root if container == "root_zip" else root / "images"
        images.mkdir(exist_ok=True)
        for folder, labels in LABELS.items():
            files = {self.name(folder, one): self.jpeg(one) for one in labels}
            if container == "folder":
                (images / folder).mkdir()
                for name, data in files.items():
                    (images / folder / name).write_bytes(data)
                continue
            with zipfile.ZipFile(images / f"{folder}.zip", "w") as archive:
                archive.mkdir(folder)
                for name, data in files.items():
                    archive.writestr(f"{folder}/{name}", data)
        return root


@pytest.fixture
def tiny() -> TinyCoco:
    return TinyCoco()


@pytest.fixture(scope="session")
def new_tiny() -> Callable[[], TinyCoco]:
    """For tests that need several, or one for each example of hypothesis."""
    return TinyCoco


@pytest.fixture
def tiny_root(tiny: TinyCoco, tmp_path: Path) -> Path:
    return tiny.write(tmp_path / "coco")
