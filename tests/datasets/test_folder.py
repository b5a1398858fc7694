"""A folder of one's own photos with metadata: what is read, and what is refused."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from siglip2_multimodal_hash.datasets.folder import read_folder
from siglip2_multimodal_hash.datasets.images import open_image_source
from siglip2_multimodal_hash.datasets.manifest import describe_source, read_images, verify_images
from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.params import load_params
from tests.commands import run_smhash

ROOT = Path(__file__).resolve().parents[2]
SPLITS = ["train"] * 6 + ["val"] * 2 + ["test"] * 2
Rows = list[dict[str, Any]]


def rows() -> Rows:
    """Ten photos of two classes; the third has no caption."""
    return [
        {
            "file_name": f"{number}.jpg" if number < 5 else f"more/of them/{number}.png",
            "caption": "" if number == 2 else f"photo {number}, of ä cat",
            "labels": ["cat", "dog"] if number == 0 else [("cat", "dog")[number % 2]],
            "split": split,
        }
        for number, split in enumerate(SPLITS)
    ]


def picture(path: Path, number: int = 0, **more: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **more)


def photos(root: Path, found: Rows) -> None:
    for number, row in enumerate(found):
        picture(root / row["file_name"], number)


def as_csv(found: Rows) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(found[0]))
    writer.writeheader()
    for row in found:
        writer.writerow(row | {"labels": ";".join(row["labels"])})
    return stream.getvalue()


def as_jsonl(found: Rows) -> str:
    return "".join(json.dumps(row) + "\n" for row in found)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    photos(folder, rows())
    return folder


def test_the_three_forms_are_one(root: Path) -> None:
    (root / "metadata.csv").write_text(as_csv(rows()), encoding="utf-8-sig")
    first = read_folder(root, 0)
    (root / "metadata.csv").unlink()
    (root / "metadata.jsonl").write_text(as_jsonl(rows()))
    second = read_folder(root, 0)
    (root / "metadata.jsonl").unlink()
    pq.write_table(pa.Table.from_pylist(rows()), root / "metadata.parquet")
    third = read_folder(root, 0)
    for found in (first, second, third):
        annotations = found.annotations(root)
        assert annotations.file_names == tuple(row["file_name"] for row in rows())
        assert annotations.captions[1:3] == (("photo 1, of ä cat",), ())
        assert annotations.category_names == ("cat", "dog")
        assert annotations.labels[:2].tolist() == [[1, 1], [0, 1]]
        assert annotations.widths.tolist() == [8] * 10
        assert [one.split for one in found.split] == SPLITS


def test_split_folders_and_several_captions(tmp_path: Path) -> None:
    for folder, label in (("train", "a"), ("train", "b"), ("validation", "a"), ("test", "b")):
        row = {"file_name": f"{label}.jpg", "captions": ["one", "two"], "labels": [label]}
        picture(tmp_path / folder / row["file_name"])  # type: ignore[operator]
        with (tmp_path / folder / "metadata.jsonl").open("a") as stream:
            stream.write(json.dumps(row) + "\n")
    found = read_folder(tmp_path, 0)
    assert [one.split for one in found.split] == ["train", "train", "val", "test"]
    assert found.photos[2].file_name == "validation/a.jpg"
    assert found.photos[0].captions == ("one", "two")


def test_the_order_of_the_classes_can_be_given(root: Path) -> None:
    (root / "metadata.jsonl").write_text(as_jsonl(rows()))
    (root / "classes.txt").write_text("dog\ncat\n")
    found = read_folder(root, 0)
    assert found.classes == ("dog", "cat")
    assert found.labels()[1].tolist() == [1, 0]


def test_a_class_that_is_listed_may_have_no_image(root: Path, caplog: Any) -> None:
    (root / "metadata.jsonl").write_text(as_jsonl(rows()))
    (root / "classes.txt").write_text("cat\ndog\nyak\n")
    assert read_folder(root, 0).labels().sum(axis=0).tolist() == [5, 6, 0]
    assert "class 'yak' has no training image" in caplog.text


def test_a_seeded_split_is_80_10_10_and_follows_the_seed_alone(tmp_path: Path) -> None:
    found = [{"file_name": f"{n}.jpg", "labels": ["ab"[n % 2]]} for n in range(50)]
    photos(tmp_path, found)
    path = tmp_path / "metadata.jsonl"
    path.write_text(as_jsonl(found))
    first = {one.file_name: one.split for one in read_folder(tmp_path, 1).split}
    assert sorted(first.values()) == ["test"] * 5 + ["train"] * 40 + ["val"] * 5
    path.write_text(as_jsonl(found[::-1]))
    assert {one.file_name: one.split for one in read_folder(tmp_path, 1).split} == first
    assert {one.file_name: one.split for one in read_folder(tmp_path, 2).split} != first


def test_photos_of_a_camera_are_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x112] = 6
    picture(tmp_path / "a.jpg", exif=exif)
    assert open_image_source(tmp_path, "folder").open("a.jpg").size == (6, 8)


def test_a_changed_photo_is_another_source(root: Path) -> None:
    (root / "metadata.jsonl").write_text(as_jsonl(rows()))
    out = root.parent / "out"
    described = describe_source(root, out, "folder")
    assert [one.path for one in described.annotations] == ["metadata.jsonl"]
    assert set(described.images) == {row["file_name"] for row in rows()}
    verify_images(root, read_images(out / "images.parquet"), "folder")
    (root / "0.jpg").write_bytes(b"another")
    with pytest.raises(DataError, match=r"0\.jpg: 7 bytes instead of"):
        verify_images(root, read_images(out / "images.parquet"), "folder")


def change(row: int, **values: Any) -> Callable[[Path], None]:
    """Metadata in JSON whose row (from 0) has other values; None takes a key away."""

    def damage(root: Path) -> None:
        found = rows()
        found[row] = {k: v for k, v in (found[row] | values).items() if v is not None}
        (root / "metadata.jsonl").write_text(as_jsonl(found))

    return damage


def all_rows(**values: Any) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        found = [
            {k: v for k, v in (row | values).items() if v is not None and (k != "never")}
            for row in rows()
        ]
        (root / "metadata.jsonl").write_text(as_jsonl(found))

    return damage


def text(content: str | bytes, name: str = "metadata.csv") -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        data = content.encode() if isinstance(content, str) else content
        (root / name).write_bytes(data)

    return damage


def table(**columns: Any) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        names = [row["file_name"] for row in rows()]
        whole = {"file_name": names, "labels": [["cat"]] * 10} | columns
        pq.write_table(pa.table(whole), root / "metadata.parquet")

    return damage


def with_classes(content: str) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        change(0)(root)
        (root / "classes.txt").write_text(content)

    return damage


def link_out(root: Path) -> None:
    change(0)(root)
    (root / "0.jpg").unlink()
    (root.parent / "secret.jpg").write_bytes(b"secret")
    (root / "0.jpg").symlink_to(root.parent / "secret.jpg")


def folder_link_out(root: Path) -> None:
    picture(root.parent / "elsewhere" / "x.jpg")
    (root / "album").symlink_to(root.parent / "elsewhere", target_is_directory=True)
    change(0, file_name="album/x.jpg")(root)


def two_files(root: Path) -> None:
    change(0)(root)
    (root / "metadata.csv").write_text(as_csv(rows()))


def root_and_split(root: Path) -> None:
    change(0)(root)
    (root / "train").mkdir()
    (root / "train" / "metadata.csv").write_text(as_csv(rows()))


def split_in_split(root: Path) -> None:
    (root / "train").mkdir()
    (root / "train" / "metadata.jsonl").write_text(as_jsonl(rows()))


def only_train(root: Path) -> None:
    picture(root / "train/a.jpg")
    (root / "train/metadata.csv").write_text("file_name,labels\na.jpg,x;y\n")


def gone(root: Path) -> None:
    change(0)(root)
    (root / "more/of them/7.png").unlink()


def learned_by_none(root: Path) -> None:
    found = rows()
    found[8]["labels"] = ["rare"]
    (root / "metadata.jsonl").write_text(as_jsonl(found))


def no_val(root: Path) -> None:
    found = [row | {"split": "train" if row["split"] == "val" else row["split"]} for row in rows()]
    (root / "metadata.jsonl").write_text(as_jsonl(found))


def unlabelled_test(root: Path) -> None:
    found = [row | ({"labels": []} if row["split"] == "test" else {}) for row in rows()]
    (root / "metadata.jsonl").write_text(as_jsonl(found))


HEAD = "file_name,labels,caption\n"
BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "no metadata": (lambda root: None, r"no metadata\.csv, metadata\.jsonl or"),
    "two files": (two_files, "more than one metadata file"),
    "root and split folder": (root_and_split, r"more than one metadata file: metadata\.jsonl, tr"),
    "split column in split folder": (split_in_split, "'split' in the metadata of the folder train"),
    "only one split folder": (
        only_train,
        "no image is in split val or test",
    ),
    "empty csv": (text(""), "no column 'file_name'"),
    "head alone": (text(HEAD), "no row"),
    "empty jsonl": (text("\n\n", "metadata.jsonl"), "no column 'file_name'"),
    "empty parquet": (text("", "metadata.parquet"), "not a readable Parquet file"),
    "damaged parquet": (text(b"PAR1" + 40 * b"x", "metadata.parquet"), "not a readable Parquet"),
    "csv as parquet": (text(HEAD + "0.jpg,cat,\n", "metadata.parquet"), "not a readable Parquet"),
    "no file_name": (text("name,labels\n0.jpg,cat\n"), "unknown column 'name'"),
    "no labels": (text("file_name,caption\n0.jpg,x\n"), "no column 'labels'"),
    "unknown column": (text("file_name,label\n0.jpg,cat\n"), "(?s)'label'.*did you mean.*labels"),
    "unknown key in one row": (change(4, licence="mine"), "unknown column 'licence'"),
    "column twice": (text("file_name,labels,labels\n0.jpg,cat,dog\n"), "'labels' occurs twice"),
    "caption and text": (change(3, text="another"), "both 'caption' and 'text'"),
    "too many cells": (text(HEAD + "0.jpg,cat,a dog, a cat\n"), "row 1: 4 cells, but 3 columns"),
    "too few cells": (text(HEAD + "0.jpg,cat,x\n1.jpg\n"), "row 2: 1 cells"),
    "open quote": (text(HEAD + '0.jpg,cat,"a dog\n'), "row 1: not CSV"),
    "stray quote": (text(HEAD + '0.jpg,cat,"a" dog\n'), "row 1: not CSV"),
    "a huge cell": (text(HEAD + f"0.jpg,cat,{'x' * 140_000}\n"), "row 1: not CSV"),
    "semicolons between columns": (text("file_name;labels\n0.jpg;cat\n"), "unknown column"),
    "latin-1 csv": (text((HEAD + "0.jpg,cat,für\n").encode("latin-1")), "line 2: not UTF-8"),
    "utf-16 csv": (text((HEAD + "0.jpg,cat,x\n").encode("utf-16")), "line 1: not UTF-8"),
    "latin-1 jsonl": (text('{"file_name": "ä"}'.encode("latin-1"), "metadata.jsonl"), "line 1: no"),
    "half a line": (text('{"file_name": "0.jpg", "la', "metadata.jsonl"), "line 1: not JSON"),
    "a list, not objects": (text('["0.jpg"]\n', "metadata.jsonl"), "line 1: not an object"),
    "deep nesting": (text("[" * 100_000, "metadata.jsonl"), "line 1: not JSON"),
    "lone surrogate": (change(3, caption="\ud800"), "row 4: caption = .* is not valid text"),
    "missing file_name": (change(3, file_name=None), "row 4: file_name = None is no text"),
    "empty file_name": (change(3, file_name=" "), "row 4: file_name = ' '"),
    "number as file_name": (change(3, file_name=7), "row 4: file_name = 7"),
    "absolute": (change(3, file_name="/etc/passwd.jpg"), "row 4: .* is not a path below"),
    "above": (change(3, file_name="../x.jpg"), "row 4: .* is not a path below"),
    "above, inside": (change(3, file_name="more/../../x.jpg"), "row 4: .* is not a path below"),
    "backslash": (change(3, file_name="more\\x.jpg"), "row 4: .* is not a path below"),
    "drive": (change(3, file_name="C:x.jpg"), "row 4: .* is not a path below"),
    "hidden": (change(3, file_name=".cache/x.jpg"), "row 4: .* is not a path below"),
    "dot": (change(3, file_name="./3.jpg"), "row 4: .* is not a path below"),
    "double slash": (change(3, file_name="more//x.jpg"), "row 4: .* is not a path below"),
    "line break": (change(3, file_name="a\nb.jpg"), "row 4: .* is not a path below"),
    "address": (change(3, file_name="http://x.org/a.jpg"), "row 4: .* is not a path below"),
    "no image": (change(3, file_name="notes.txt"), "row 4: .* is no image by its suffix"),
    "duplicate": (change(3, file_name="0.jpg"), r"row 4: file_name '0\.jpg' occurs before .*row 1"),
    "missing image": (gone, r"row 8: .*more/of them/7\.png: no such image"),
    "other case": (change(3, file_name="3.JPG"), r"row 4: .*3\.JPG: no such image"),
    "link out": (link_out, "a link that leads out"),
    "folder link out": (folder_link_out, r"row 1: .*album/x\.jpg: no such image"),
    "captions of numbers": (change(3, captions=[1], caption=None), "both|row 4: captions = 1"),
    "caption as a list": (change(3, caption=["a"]), "row 4: caption is a list"),
    "caption as a number": (change(3, caption=7), "row 4: caption = 7"),
    "bad list in csv": (text('file_name,labels,captions\n0.jpg,cat,"[a"\n'), "row 1: captions is"),
    "labels as text": (change(3, labels="cat"), "row 4: labels = 'cat' is no list"),
    "label as a number": (change(3, labels=[4]), "row 4: labels = 4 is no text"),
    "empty label": (change(3, labels=["cat", ""]), "row 4: labels = ''"),
    "empty label in csv": (text(HEAD + "0.jpg,cat;;dog,\n"), "row 1: labels = ''"),
    "label twice": (change(3, labels=["cat", "cat"]), "row 4: label 'cat' occurs twice"),
    "label with a line break": (change(3, labels=["a\nb"]), "row 4: label .* does not print"),
    "label in another case": (change(3, labels=["Cat"]), "differs from .* in its spelling"),
    "numbers in parquet": (table(labels=[[1]] * 10), "row 1: labels = 1 is no text"),
    "classes of integers in parquet": (table(labels=[3] * 10), "row 1: labels = 3 is no list"),
    "one class": (all_rows(labels=["cat"]), r"1 class\(es\)"),
    "no class": (all_rows(labels=[]), r"0 class\(es\)"),
    "unknown split": (change(3, split="dev"), "row 4: split 'dev' is unknown"),
    "split in one row missing": (change(3, split=None), "row 4: no split, but other rows"),
    "split as a number": (change(3, split=1), "row 4: split 1 is unknown"),
    "no val": (no_val, "no image is in split val"),
    "no label in test": (unlabelled_test, "no image of split test has a label"),
    "class without training image": (learned_by_none, "class 'rare' has no training image"),
    "label outside classes.txt": (with_classes("cat\n"), r"label 'dog' is not in classes\.txt"),
    "class twice": (with_classes("cat\ndog\ncat\n"), "line 1: 'cat' is empty, occurs twice"),
    "class without a name": (with_classes("cat\n\ndog\n"), "line 2: ''"),
    "classes alone": (with_classes(""), "row 1: label .* is not in classes"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_metadata_is_one_message_with_the_row(root: Path, name: str) -> None:
    damage, message = BAD[name]
    damage(root)
    with pytest.raises(DataError, match=message) as caught:
        read_folder(root, 0)
    assert str(root) in str(caught.value)


def test_no_folder_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        read_folder(tmp_path / "nowhere", 0)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("params.yaml", "configs"):
        (tmp_path / name).symlink_to(ROOT / name)
    text_of = (ROOT / "params.yaml").read_text(encoding="utf-8")
    (tmp_path / "params.yaml").unlink()
    (tmp_path / "params.yaml").write_text(text_of, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_use_folder_sets_all_that_it_takes(project: Path, root: Path) -> None:
    change(0)(root)
    words = ("folder", "--root", root, "--name", "holiday", "-S", "knn.top_n_tags=2")
    assert run_smhash("use", *words) == 0
    params = load_params()
    assert (params.dataset.kind, params.dataset.name) == ("folder", "holiday")
    assert params.dataset.protocol == "own"
    assert params.runtime.dataset_root == str(root)
    assert params.runtime.watch == ("source/holiday",)
    assert run_smhash("use", "mojicoco") == 0
    assert load_params().dataset.protocol == "karpathy"
    assert load_params().runtime.watch == ()


@pytest.mark.parametrize("name", ["no metadata", "above", "utf-16 csv", "class twice"])
def test_use_refuses_bad_metadata_and_leaves_the_parameters(
    project: Path, root: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    damage, _ = BAD[name]
    damage(root)
    before = (project / "params.yaml").read_bytes()
    assert run_smhash("use", "folder", "--root", root, "--name", "holiday") == 2
    said = capsys.readouterr().err
    assert said.count("error:") == 1
    assert "Traceback" not in said
    assert (project / "params.yaml").read_bytes() == before


def test_fewer_classes_than_tags_are_refused_at_once(
    project: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(0)(root)
    assert run_smhash("use", "folder", "--root", root, "--name", "holiday") == 2
    assert "knn.top_n_tags" in capsys.readouterr().err


def test_the_name_of_an_embedded_dataset_is_taken(project: Path, root: Path) -> None:
    change(0)(root)
    words = ("folder", "--root", root, "-S", "knn.top_n_tags=2", "--name")
    assert run_smhash("use", *words, "mojicoco") == 2
    assert run_smhash("use", *words, "../up") == 2
