"""Numbers that fall on ids of COCO are believed only where nothing says that they are none."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from siglip2_multimodal_hash.datasets.index import DatasetIndex, make_index
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.features.imported.importer import import_features
from siglip2_multimodal_hash.features.imported.sources import read_clip_retrieval
from siglip2_multimodal_hash.features.store import load_embeddings
from tests.features.imported.conftest import Layout

Found = tuple[str, list[float]]
TakeFolder = Callable[..., Found]

# Of COCO's kind: sparse. Keys from 0 to 119 have them all.
IDS = (9, 25, 30, 34, 36, 49, 61, 64, 71, 72, 77, 109)
ROWS = 120


@pytest.fixture
def coco() -> DatasetIndex:
    count = len(IDS)
    columns = {
        "image_id": IDS,
        "file_name": [f"val2014/COCO_val2014_{one:012d}.jpg" for one in IDS],
        "split": ["train"] * 8 + ["val"] * 2 + ["test"] * 2,
        "width": [1] * count,
        "height": [1] * count,
        "bytes": [1] * count,
    }
    captions = [[f"Photo {one} of a cat.", f"a dog in {one}"] for one in IDS]
    labels = np.eye(3, dtype=np.uint8)[np.arange(count) % 3]
    return make_index(columns, captions, labels, (1, 2, 3), ("a", "b", "c"))


@pytest.fixture
def true() -> list[int]:
    """The image of each row: those of the index stand at other rows than their ids."""
    others = list(range(1000, 1000 + ROWS - len(IDS)))
    return [*others[:50], *IDS[::-1], *others[50:]]


@pytest.fixture
def clip(tmp_path: Path, true: list[int]) -> Layout:
    """Output of clip-retrieval for a web dataset, with the requested columns."""

    def write(**columns: list[int] | list[str]) -> Path:
        for name in ("img_emb", "metadata"):
            (tmp_path / "clip" / name).mkdir(parents=True)
        features = np.array(true, dtype=np.float32)[:, None] + np.arange(4, dtype=np.float32)
        np.save(tmp_path / "clip/img_emb/img_emb_0.npy", features)
        frame = pd.DataFrame({"image_path": [f"{row:09d}" for row in range(ROWS)]} | columns)
        frame.to_parquet(tmp_path / "clip/metadata/metadata_0.parquet")
        return tmp_path / "clip"

    return write


@pytest.fixture
def take(tmp_path: Path, coco: DatasetIndex) -> TakeFolder:
    """The lines of an import, and the image that each row of the result is of."""

    def run(folder: Path, id_column: str | None = None) -> Found:
        source = read_clip_retrieval(folder, id_column)
        imported = import_features(source, coco, tmp_path / "features")
        return imported.lines[0], load_embeddings(imported.folder).image[:, 0].tolist()

    return run


def urls(true: list[int]) -> list[str]:
    return [f"http://images.cocodataset.org/val2014/COCO_val2014_{one:012d}.jpg" for one in true]


def captions(true: list[int]) -> list[str]:
    return [f"photo {one}  of a cat." for one in true]


def test_file_names_in_the_addresses_are_taken_instead(
    clip: Layout, take: TakeFolder, true: list[int]
) -> None:
    line, images = take(clip(url=urls(true), caption=captions(true)))
    assert images == list(IDS)
    assert "ids by url (file names): 12 of 120 rows fit" in line


@pytest.mark.parametrize("witness", ["url", "caption"])
def test_what_stands_beside_a_number_contradicts_it(
    clip: Layout, take: TakeFolder, true: list[int], witness: str
) -> None:
    # An address that is missing leaves the numbers alone with more images than the names.
    texts = {"url": urls, "caption": captions}[witness](true)
    texts[true.index(9)] = "http://elsewhere.org/x.jpg"
    folder = clip(**{witness: texts})
    if witness == "url":
        with pytest.raises(DataError, match=r"1 of the 12 images of the index have no row"):
            take(folder)
        return
    with pytest.raises(DataError) as caught:
        take(folder)
    message = str(caught.value)
    assert "image_path: its numbers are no ids of the dataset: caption contradicts them" in message
    assert "in 11 of 11 rows" in message
    assert "`--id-column image_path`" in message


@pytest.mark.parametrize(
    "keys",
    [
        list(range(ROWS)),
        # Shards of 60 with 10,000 keys each, and every fourth download failed.
        [10_000 * (row // 60) + row % 60 * 4 // 3 for row in range(ROWS)],
    ],
)
def test_counts_and_keys_of_shards_alone_are_refused(
    clip: Layout, take: TakeFolder, keys: list[int]
) -> None:
    ids = [f"{one:09d}" for one in keys]
    for image_id, row in zip(IDS, range(ROWS - len(IDS), ROWS), strict=True):
        if f"{image_id:09d}" not in ids:
            ids[row] = f"{image_id:09d}"
    folder = clip(image_path=ids)
    with pytest.raises(DataError, match="are a running count or keys of shards"):
        take(folder)
    # Whoever knows better says so.
    line, _ = take(folder, "image_path")
    assert "ids by image_path (numbers, with nothing to check them): 12 of 120 rows fit" in line


def test_a_column_that_is_named_is_taken_and_the_contradiction_told(
    clip: Layout, take: TakeFolder, true: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    folder = clip(caption=captions(true))
    line, images = take(folder, "image_path")
    assert images != list(IDS)
    assert "as --id-column image_path says" in line
    assert "caption contradicts them in 12 of 12 rows" in caplog.text


def test_numbers_that_captions_confirm(clip: Layout, take: TakeFolder, true: list[int]) -> None:
    line, images = take(clip(id=[str(one) for one in true], caption=captions(true)))
    assert images == list(IDS)
    assert "ids by id (numbers; caption agrees in 12 of 12 rows): 12 of 120 rows fit" in line


def test_a_count_is_passed_over_for_a_column_of_image_ids(
    clip: Layout, take: TakeFolder, true: list[int]
) -> None:
    line, images = take(clip(image_id=true))
    assert images == list(IDS)
    assert "ids by image_id (numbers, with nothing to check them)" in line


def test_one_row_per_caption_gives_an_image_its_first(
    tmp_path: Path, clip: Layout, take: TakeFolder, true: list[int]
) -> None:
    folder = clip(url=urls(true), caption=captions(true))
    features = np.load(folder / "img_emb/img_emb_0.npy")
    frame = pd.read_parquet(folder / "metadata/metadata_0.parquet")
    np.save(folder / "img_emb/img_emb_0.npy", np.concatenate([features, features + 0.5]))
    pd.concat([frame, frame]).to_parquet(folder / "metadata/metadata_0.parquet")
    line, images = take(folder)
    assert images == list(IDS)
    assert "of one row per caption the first of each image was taken" in line


def test_files_of_other_systems_are_passed_over(
    clip: Layout, take: TakeFolder, true: list[int]
) -> None:
    folder = clip(url=urls(true))
    for name in ("img_emb/._img_emb_0.npy", "metadata/._metadata_0.parquet", "img_emb/.DS_Store"):
        (folder / name).write_bytes(b"\0\5\x16\7")
    assert take(folder)[1] == list(IDS)
