"""Features for the dozen images of the tiny dataset, and clip-retrieval's layout."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from siglip2_multimodal_hash.arrays import Vectors
from siglip2_multimodal_hash.datasets.index import DatasetIndex
from siglip2_multimodal_hash.features.imported.importer import Imported, import_features
from siglip2_multimodal_hash.features.imported.sources import read_clip_retrieval, read_plain

IMAGES, WIDTH = 12, 5

Layout = Callable[..., Path]
Take = Callable[..., Imported]


@pytest.fixture
def image() -> Vectors:
    """float32 [12, 5], far from unit length."""
    return np.random.default_rng(1).normal(2, 3, (IMAGES, WIDTH)).astype(np.float32)


@pytest.fixture
def caption(index: DatasetIndex) -> Vectors:
    """float32 [M, 5]: one row per caption, in the order of the index."""
    count = int(index.caption_offsets()[-1])
    return np.random.default_rng(2).normal(-1, 2, (count, WIDTH)).astype(np.float32)


@pytest.fixture
def image_ids(index: DatasetIndex) -> list[str]:
    return [str(one) for one in index.frame["image_id"]]


@pytest.fixture
def caption_ids(index: DatasetIndex) -> list[str]:
    """The image of each caption."""
    counts = np.diff(index.caption_offsets())
    return [str(one) for one in np.repeat(index.frame["image_id"], counts)]


def write_layout(
    folder: Path,
    ids: Sequence[object],
    arrays: dict[str, Vectors],
    *,
    column: str = "image_path",
    shards: int = 3,
) -> Path:
    """Output of ``clip-retrieval inference``: numbered files, the numbers not padded.

    Files 9, 10, 11 ...: by name, 10 comes before 9.
    """
    for number, rows in enumerate(np.array_split(np.arange(len(ids)), shards), start=9):
        for name, array in arrays.items():
            (folder / name).mkdir(parents=True, exist_ok=True)
            np.save(folder / name / f"{name}_{number}.npy", array[rows])
        (folder / "metadata").mkdir(parents=True, exist_ok=True)
        frame = pd.DataFrame({"caption": ["..."] * len(rows), column: [ids[row] for row in rows]})
        frame.to_parquet(folder / "metadata" / f"metadata_{number}.parquet")
    return folder


@pytest.fixture
def layout() -> Layout:
    return write_layout


@pytest.fixture
def take_layout(tmp_path: Path, index: DatasetIndex) -> Take:
    return lambda folder: import_features(read_clip_retrieval(folder), index, tmp_path / "features")


@pytest.fixture
def take_plain(tmp_path: Path, index: DatasetIndex) -> Take:
    """Import arrays with ids, each written to a file first."""

    def take(**parts: Any) -> Imported:
        paths: dict[str, Path] = {}
        for name, content in parts.items():
            suffix = "txt" if name.endswith("ids") else "npy"
            paths[name] = tmp_path / f"{name}.{suffix}"
            if suffix == "npy":
                np.save(paths[name], content)
            else:
                paths[name].write_text("\n".join(map(str, content)) + "\n")
        image, caption = paths.get("image"), paths.get("caption")
        source = read_plain(image, paths.get("image_ids"), caption, paths.get("caption_ids"))
        return import_features(source, index, tmp_path / "features")

    return take
