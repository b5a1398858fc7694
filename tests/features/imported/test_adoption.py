"""The stage `embed` takes imported features only as they were imported, for the same index."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from siglip2_multimodal_hash.arrays import Vectors
from siglip2_multimodal_hash.datasets.index import DatasetIndex
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.features.imported.adoption import adopt_features
from siglip2_multimodal_hash.features.imported.importer import Imported, import_features
from siglip2_multimodal_hash.features.imported.matrices import open_matrix
from siglip2_multimodal_hash.features.imported.sources import read_plain
from siglip2_multimodal_hash.features.store import load_embeddings
from tests.features.imported.conftest import Take


@pytest.fixture
def imported(
    take_plain: Take, image: Vectors, image_ids: list[str], caption: Vectors, caption_ids: list[str]
) -> Imported:
    return take_plain(image=image, image_ids=image_ids, caption=caption, caption_ids=caption_ids)


def test_every_byte_is_the_imported_one(
    tmp_path: Path, index: DatasetIndex, imported: Imported, image: Vectors, caption: Vectors
) -> None:
    adopt_features(index, imported.digest, imported.folder, tmp_path / "out")
    found = load_embeddings(tmp_path / "out")
    np.testing.assert_array_equal(found.image, image)
    np.testing.assert_array_equal(found.caption, caption)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"image.npy", "caption.npy", "caption_offsets.npy", "meta.json"}
    for name in names:
        assert (tmp_path / "out" / name).read_bytes() == (imported.folder / name).read_bytes()
        assert (tmp_path / "out" / name).samefile(imported.folder / name)


def refused(
    tmp_path: Path, index: DatasetIndex, imported: Imported, reason: str, digest: str | None = None
) -> None:
    with pytest.raises(DataError, match=reason) as caught:
        adopt_features(index, digest or imported.digest, imported.folder, tmp_path / "out")
    assert "-> run `smhash import-features` again" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_another_digest(tmp_path: Path, index: DatasetIndex, imported: Imported) -> None:
    refused(tmp_path, index, imported, "not the features of backbone.revision", "0" * 64)


@pytest.mark.parametrize("name", ["image.npy", "caption.npy", "caption_offsets.npy", "meta.json"])
def test_a_file_that_changed_or_went(
    tmp_path: Path, index: DatasetIndex, imported: Imported, name: str
) -> None:
    path = imported.folder / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    reason = "not the features of" if name == "meta.json" else rf"{name}: damaged"
    refused(tmp_path, index, imported, reason)
    path.unlink()
    reason = "no imported features are there" if name == "meta.json" else rf"{name}: no such file"
    refused(tmp_path, index, imported, reason)


def test_an_index_of_other_images(tmp_path: Path, index: DatasetIndex, imported: Imported) -> None:
    frame = index.frame.copy()
    frame["image_id"] += 1
    reason = r"1 of its images were not imported \(such as id 13\), and 1 .*such as id 1\)"
    refused(tmp_path, replace(index, frame=frame), imported, reason)


def test_an_index_of_fewer_captions(
    tmp_path: Path, index: DatasetIndex, imported: Imported
) -> None:
    frame = index.frame.copy()
    frame["captions"] = [texts[:1] for texts in frame["captions"]]
    refused(tmp_path, replace(index, frame=frame), imported, "it has 12 captions, and 24 were")


@pytest.mark.parametrize("column", ["file_name", "width", "captions"])
def test_an_index_of_other_content(
    tmp_path: Path, index: DatasetIndex, imported: Imported, column: str
) -> None:
    frame = index.frame.copy()
    change = {"file_name": "x.jpg", "width": 7, "captions": ["a horse", "a horse"]}[column]
    frame[column] = [change, *frame[column][1:]]
    refused(tmp_path, replace(index, frame=frame), imported, "have other file names, sizes")


def test_splits_and_labels_may_change(
    tmp_path: Path, index: DatasetIndex, imported: Imported
) -> None:
    frame = index.frame.copy()
    frame["split"] = "train"
    frame["labels"] = frame["labels"].map(np.zeros_like)
    other = DatasetIndex(frame, index.category_ids, index.category_names)
    adopt_features(other, imported.digest, imported.folder, tmp_path / "out")


@pytest.fixture
def take_prompts(tmp_path: Path, index: DatasetIndex, image: Vectors, image_ids: list[str]) -> Take:
    """Import the images with class prompts."""

    def take(prompts: npt.NDArray[Any], kind: str = "image") -> Imported:
        for name, array in (("features", image), ("prompts", prompts)):
            np.save(tmp_path / f"{name}.npy", array)
        (tmp_path / "ids.txt").write_text("\n".join(image_ids))
        tower = (tmp_path / "features.npy", tmp_path / "ids.txt")
        source = read_plain(*(tower if kind == "image" else (None, None)),
                            *(tower if kind == "caption" else (None, None)))  # fmt: skip
        source = replace(source, prompts=open_matrix([tmp_path / "prompts.npy"]))
        return import_features(source, index, tmp_path / "features")

    return take


def test_class_prompts(tmp_path: Path, index: DatasetIndex, take_prompts: Take) -> None:
    prompts = np.arange(15, dtype=np.float16).reshape(3, 5)
    imported = take_prompts(prompts)
    adopt_features(index, imported.digest, imported.folder, tmp_path / "out")
    np.testing.assert_array_equal(load_embeddings(tmp_path / "out").prompt, prompts)


@pytest.mark.parametrize(
    ("prompts", "kind", "reason"),
    [
        (np.ones((4, 5)), "image", "4 rows, but the dataset has 3 classes"),
        (np.ones((3, 6)), "image", "6 dimensions, but the image features have 5"),
        (np.full((3, 5), np.nan), "image", r"prompts\.npy: row 0 holds NaN"),
        (np.ones((3, 5)), "caption", "there are no images"),
    ],
)
def test_prompts_that_do_not_fit(
    take_prompts: Take, prompts: npt.NDArray[Any], kind: str, reason: str
) -> None:
    from siglip2_multimodal_hash.errors import InputError

    with pytest.raises(InputError, match=reason):
        take_prompts(prompts, kind)
