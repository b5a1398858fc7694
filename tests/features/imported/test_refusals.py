"""Damaged and unfit features of every kind: refused by file and row, and nothing is left behind."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from siglip2_multimodal_hash.arrays import Vectors
from siglip2_multimodal_hash.datasets.index import DatasetIndex
from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.features.imported.ids import read_ids
from siglip2_multimodal_hash.features.imported.importer import import_features
from siglip2_multimodal_hash.features.imported.matrices import open_matrix
from siglip2_multimodal_hash.features.imported.sources import read_clip_retrieval, read_plain
from tests.features.imported.conftest import Layout, Take


@pytest.fixture
def clip(tmp_path: Path, index: DatasetIndex, layout: Layout, image: Vectors) -> Path:
    names = list(index.frame["file_name"])
    return layout(tmp_path / "clip", names, {"img_emb": image, "text_emb": image + 1})


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.ones(3, np.float32), r"shape \[3\], expected a matrix"),
        (np.ones((3, 1, 2), np.float32), r"shape \[3, 1, 2\]"),
        (np.ones((3, 0), np.float32), r"shape \[3, 0\]"),
        (np.ones((3, 2), np.int8), "dtype int8"),
        (np.ones((3, 2), np.complex64), "dtype complex64"),
        (np.ones((3, 2), np.longdouble), "dtype (float128|longdouble)"),
        (np.array([["a", "b"]]), "dtype <U1"),
    ],
)
def test_no_matrix_of_floats(tmp_path: Path, array: npt.NDArray[Any], reason: str) -> None:
    np.save(tmp_path / "image.npy", array)
    with pytest.raises(DataError, match=reason) as caught:
        open_matrix([tmp_path / "image.npy"])
    assert str(tmp_path / "image.npy") in str(caught.value)
    assert "-> save it again" in str(caught.value)


class _Bomb:
    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, ("exploded",)


def test_objects_are_never_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / "image.npy", np.array([[_Bomb()]], dtype=object), allow_pickle=True)
    for read in (lambda path: open_matrix([path]), read_ids):
        with pytest.raises(DataError, match=r"image\.npy: not a readable \.npy array"):
            read(tmp_path / "image.npy")
    (tmp_path / "ids.npy").write_bytes((tmp_path / "image.npy").read_bytes())
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("damage", ["missing", "empty", "text", "truncated", "archive"])
def test_no_array_file(tmp_path: Path, image: Vectors, damage: str) -> None:
    path = tmp_path / "image.npy"
    np.save(path, image)
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "archive":
        with path.open("wb") as stream:
            np.savez(stream, image)
    else:
        path.write_bytes({"empty": b"", "text": b"1,2,3\n", "truncated": content[:-4]}[damage])
    with pytest.raises(DataError, match=r"image\.npy"):
        open_matrix([path])


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (np.nan, "holds NaN"),
        (np.inf, "holds NaN"),
        (-np.inf, "holds NaN"),
        (1e39, "beyond float32"),
    ],
)
def test_not_finite(
    tmp_path: Path, clip: Path, index: DatasetIndex, image: Vectors, value: float, reason: str
) -> None:
    # The rows of file 10 are 4 to 7.
    damaged = image.astype(np.float64)
    damaged[6, 2] = value
    np.save(clip / "img_emb" / "img_emb_10.npy", damaged[4:8])
    with pytest.raises(DataError, match=rf"img_emb_10\.npy: row 2 .*{reason}"):
        import_features(read_clip_retrieval(clip), index, tmp_path / "features")
    assert list((tmp_path / "features").iterdir()) == []


def test_a_row_too_long_to_compute_with(
    take_plain: Take, image: Vectors, image_ids: list[str]
) -> None:
    image[4] *= 1e30
    with pytest.raises(DataError, match=r"image\.npy: row 4: a row is .* overflow") as caught:
        take_plain(image=image, image_ids=image_ids)
    assert "-> multiply these features by one number" in str(caught.value)
    take_plain(image=image * np.float32(1e-30), image_ids=image_ids)


def test_a_row_of_zeros_has_no_direction(tmp_path: Path, clip: Path, index: DatasetIndex) -> None:
    path = clip / "text_emb" / "text_emb_11.npy"
    np.save(path, np.load(path) * np.array([[1], [0], [1], [1]], np.float32))
    with pytest.raises(DataError, match=r"text_emb_11\.npy: row 1 is all zeros"):
        import_features(read_clip_retrieval(clip), index, tmp_path / "features")


def test_a_file_of_another_width(clip: Path) -> None:
    np.save(clip / "img_emb" / "img_emb_10.npy", np.ones((4, 7), np.float32))
    with pytest.raises(DataError, match=r"img_emb_10\.npy: 7 dimensions, but img_emb_9\.npy has 5"):
        read_clip_retrieval(clip)


def test_rows_that_the_metadata_does_not_have(clip: Path) -> None:
    np.save(clip / "img_emb" / "img_emb_11.npy", np.ones((3, 5), np.float32))
    with pytest.raises(DataError, match=r"img_emb_11\.npy: 3 rows, but metadata_11\.parquet has 4"):
        read_clip_retrieval(clip)


@pytest.mark.parametrize(
    ("remove", "reason"),
    [
        ("", "no such folder"),
        ("metadata", "no .parquet file, so no ids"),
        ("metadata/metadata_10.parquet", "img_emb and metadata do not belong.* number 10"),
        ("text_emb/text_emb_9.npy", "text_emb and metadata do not belong.* number 9"),
    ],
)
def test_what_is_missing_of_the_layout(clip: Path, remove: str, reason: str) -> None:
    path = clip / remove
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(DataError, match=reason):
        read_clip_retrieval(clip)


def test_a_folder_without_features(clip: Path) -> None:
    for name in ("img_emb", "text_emb"):
        shutil.rmtree(clip / name)
    with pytest.raises(DataError, match="neither img_emb nor text_emb holds"):
        read_clip_retrieval(clip)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("img_emb_010.npy", "same number"), ("embeddings.npy", "no number in the name")],
)
def test_a_file_that_cannot_be_placed(clip: Path, name: str, reason: str) -> None:
    shutil.copyfile(clip / "img_emb/img_emb_10.npy", clip / "img_emb" / name)
    with pytest.raises(DataError, match=reason):
        read_clip_retrieval(clip)


@pytest.mark.parametrize("damage", ["text", "columns", "gap", "float"])
def test_damaged_metadata(clip: Path, damage: str) -> None:
    path = clip / "metadata" / "metadata_9.parquet"
    frame = pd.read_parquet(path)
    if damage == "text":
        path.write_text("image_path\n1\n")
    elif damage == "columns":
        frame[["caption"]].to_parquet(path)
    elif damage == "gap":
        frame["image_path"] = [None, *frame["image_path"][1:]]
        frame.to_parquet(path)
    else:
        frame.assign(image_path=1.5).to_parquet(path)
    with pytest.raises(DataError, match=r"metadata_9\.parquet"):
        read_clip_retrieval(clip)


def test_rows_without_ids(tmp_path: Path, image: Vectors) -> None:
    np.save(tmp_path / "image.npy", image)
    (tmp_path / "ids.txt").write_text("1\n2\n")
    with pytest.raises(DataError, match=r"image\.npy: 12 rows, but .*ids\.txt has 2 ids"):
        read_plain(tmp_path / "image.npy", tmp_path / "ids.txt", None, None)
    with pytest.raises(InputError, match="--image needs --image-ids"):
        read_plain(tmp_path / "image.npy", None, None, None)
    with pytest.raises(InputError, match="--caption-ids needs --caption"):
        read_plain(None, None, None, tmp_path / "ids.txt")
    with pytest.raises(InputError, match="no features are named"):
        read_plain(None, None, None, None)


def test_images_without_a_row(take_plain: Take, image: Vectors, image_ids: list[str]) -> None:
    with pytest.raises(
        DataError, match=r"2 of the 12 images .* val2014/010\.jpg \(id 11\), val2014/011\.jpg"
    ):
        take_plain(image=image[:10], image_ids=image_ids[:10])


def test_an_image_with_two_rows(take_plain: Take, image: Vectors, image_ids: list[str]) -> None:
    image_ids[7] = "val2014/002.jpg"
    with pytest.raises(DataError, match=r"002\.jpg \(id 3\) has more than one.* rows 2 and 7"):
        take_plain(image=image, image_ids=image_ids)


def test_ids_of_another_dataset(take_plain: Take, image: Vectors) -> None:
    with pytest.raises(DataError, match=r"no id is of the dataset's index: '901', .*\n.*000\.jpg"):
        take_plain(image=image, image_ids=range(901, 913))


def test_captions_of_which_some_are_missing(
    take_plain: Take, caption: Vectors, caption_ids: list[str]
) -> None:
    # Image 2 has three captions.
    with pytest.raises(DataError, match=r"\(id 2\) has 2 rows and 3 captions"):
        take_plain(caption=np.delete(caption, 2, 0), caption_ids=np.delete(caption_ids, 2))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("ids.txt", b"1\n\n3\n", "row 1 has an empty id"),
        ("ids.txt", b"\xff\xfe1", "not UTF-8"),
        ("ids.csv", b"id,split\n1,train\n2\n", "line 3 has 1 columns, the first 2"),
        ("ids.csv", b"1,train\n2,val\n", "no column of ids: 1, train"),
        ("ids.csv", b'id\n"1\n', "not readable CSV"),
        ("ids.npy", b"1\n2\n", "not a readable .npy array"),
        ("ids.parquet", b"1\n2\n", "not a readable Parquet file"),
        ("ids.json", b"[1, 2]", "not a list of ids"),
    ],
)
def test_damaged_ids(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=reason) as caught:
        read_ids(tmp_path / name)
    assert "->" in str(caught.value)


@pytest.mark.parametrize("name", ["ids.txt", "ids.csv", "ids.npy", "ids.parquet"])
def test_no_ids(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_ids(tmp_path / name)
    (tmp_path / name).mkdir()
    with pytest.raises(DataError, match=name):
        read_ids(tmp_path / name)


@pytest.mark.parametrize("ids", [np.ones(3), np.ones((3, 1), np.int64)])
def test_an_array_that_holds_no_ids(tmp_path: Path, ids: npt.NDArray[Any]) -> None:
    np.save(tmp_path / "ids.npy", ids)
    with pytest.raises(DataError, match="expected a list of integers or strings"):
        read_ids(tmp_path / "ids.npy")
