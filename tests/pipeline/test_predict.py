"""`smhash predict` on the small finished run: the evaluation's own answers, and its manners."""

import io
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.missing_caption import tag_both_ways
from siglip2_multimodal_hash.datasets.images import open_image_source
from siglip2_multimodal_hash.datasets.index import DatasetIndex, read_index
from siglip2_multimodal_hash.errors import EXIT_BAD_INPUT
from siglip2_multimodal_hash.evaluation.store import read_evaluation
from siglip2_multimodal_hash.params import PREDICTORS
from tests.pipeline.conftest import FinishedRun, commands, run_stage, small_params
from tests.places import everything, place

OUTPUTS = Path("outputs/mojicoco/siglip2-tiny")
Predict = Callable[..., SimpleNamespace]


@pytest.fixture
def workspace(finished_run: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with the outputs of the finished run."""
    folder, _ = finished_run
    (tmp_path / "params.yaml").write_text(small_params(), encoding="utf-8")
    for name in ("data", "models"):
        (tmp_path / name).symlink_to(folder / name)
    (tmp_path / OUTPUTS).mkdir(parents=True)
    for path in (folder / OUTPUTS).iterdir():
        (tmp_path / OUTPUTS / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def predict(smhash: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> Predict:
    """Run the command in this process: its code, out and err."""

    def run(*arguments: object) -> SimpleNamespace:
        capsys.readouterr()
        code = smhash("predict", *map(str, arguments))
        output = capsys.readouterr()
        return SimpleNamespace(code=code, out=output.out, err=output.err)

    return run


def dataset_of(workspace: Path) -> DatasetIndex:
    return read_index(workspace / "data/mojicoco/index.parquet")


def write_photos(workspace: Path, rows: list[int]) -> list[Path]:
    """The files of some images of the dataset, byte for byte, in ``photos/``."""
    images = open_image_source(workspace / "data/mojicoco/source")
    paths = []
    for row in rows:
        name = str(dataset_of(workspace).frame["file_name"].iat[row])
        paths.append(workspace / "photos" / Path(name).name)
        paths[-1].parent.mkdir(exist_ok=True)
        paths[-1].write_bytes(images.read(name))
    return paths


def rows_of_test(workspace: Path, count: int) -> list[int]:
    return [int(row) for row in dataset_of(workspace).rows("test")[:count]]


def test_a_test_image_with_its_caption_gets_the_scores_of_the_evaluation(
    workspace: Path, predict: Predict
) -> None:
    dataset, rows = dataset_of(workspace), rows_of_test(workspace, 3)
    stored = read_evaluation(workspace / OUTPUTS / "evaluation")
    database = dataset.rows("database")
    for query, (row, path) in enumerate(zip(rows, write_photos(workspace, rows), strict=True)):
        caption = dataset.frame["captions"].tolist()[row][0]
        result = predict(path, "--caption", caption, "--top", 80, "--json")
        assert (result.code, result.err) == (0, "")
        (found,) = json.loads(result.out)
        assert found["caption_from"] == "given"
        scores = {tag["name"]: tag["scores"] for tag in found["tags"]}
        for name in PREDICTORS:
            ours = [scores[one][name] for one in dataset.category_names]
            expected = stored.predictions["test"].scores[name][query]
            np.testing.assert_allclose(ours, expected, atol=1e-5)
            assert found["thresholds"][name] == stored.figures[name]["threshold"]["tuned"]
        neighbours = stored.predictions["test"].neighbours
        ids = dataset.frame["image_id"].to_numpy()[database[neighbours.rows[query]]]
        assert [one["image_id"] for one in found["neighbours"]] == ids.tolist()
        similarities = [one["similarity"] for one in found["neighbours"]]
        np.testing.assert_allclose(similarities, neighbours.similarities[query], atol=1e-6)


def test_the_benchmark_of_missing_captions_finds_the_figures_of_the_evaluation(
    workspace: Path,
) -> None:
    stored = read_evaluation(workspace / OUTPUTS / "evaluation").figures
    found = tag_both_ways()
    for name in PREDICTORS:
        assert found["own"][name] == pytest.approx(100 * stored[name]["val"]["mAP"], abs=1e-3)
        assert found["stand_in"][name] != found["own"][name]


def test_the_object_of_a_photo(workspace: Path, predict: Predict) -> None:
    (path,) = write_photos(workspace, rows_of_test(workspace, 1))
    (found,) = json.loads(predict(path, "--json").out)
    assert list(found) == [
        *("path", "caption", "caption_from", "distance", "thresholds", "predicted", "tags"),
        *("neighbours", "warning"),
    ]
    assert (found["path"], found["caption"], found["distance"]) == (str(path), None, "hamming")
    assert found["caption_from"] == "nearest_images"
    assert set(found["thresholds"]) == set(PREDICTORS)
    limit = found["thresholds"]
    hybrid = [tag["scores"]["hybrid"] for tag in found["tags"]]
    assert hybrid == sorted(hybrid, reverse=True)
    assert 5 <= len(hybrid) <= 15  # knn.top_n_tags of each of three predictors
    for tag in found["tags"]:
        assert set(tag) == {"name", "scores", "above"}
        above = [name for name in PREDICTORS if tag["scores"][name] >= limit[name]]
        assert tag["above"] == above
        assert ("hybrid" in above) == (tag["name"] in found["predicted"])
    dataset = dataset_of(workspace)
    frame = dataset.frame.set_index("image_id")
    assert len(found["neighbours"]) == 20
    assert sum(one["weight"] for one in found["neighbours"]) == pytest.approx(1)
    for one in found["neighbours"]:
        image = frame.loc[one["image_id"]]
        assert image["split"] in ("train", "restval")
        assert (one["file_name"], one["caption"]) == (image["file_name"], image["captions"][0])
        names = np.array(dataset.category_names)[image["labels"].astype(bool)]
        assert one["labels"] == names.tolist()
        assert one["shared"] == [name for name in names if name in found["predicted"]]
        assert one["similarity"] == pytest.approx(1 - one["distance"] / 64)


def test_the_votes_of_the_neighbours_are_the_score_of_knn(
    workspace: Path, predict: Predict
) -> None:
    (path,) = write_photos(workspace, rows_of_test(workspace, 1))
    (found,) = json.loads(predict(path, "--json", "--k", 3).out)
    assert len(found["neighbours"]) == 3
    for tag in found["tags"]:
        votes = [one["weight"] for one in found["neighbours"] if tag["name"] in one["labels"]]
        assert tag["scores"]["knn"] == pytest.approx(sum(votes), abs=1e-6)


def test_the_text_says_where_the_caption_came_from(workspace: Path, predict: Predict) -> None:
    (path,) = write_photos(workspace, rows_of_test(workspace, 1))
    bare = predict(path, "--k", 7, "--top", 2)
    assert bare.code == 0
    assert "caption: none given: the mean of the captions of the 20 database images" in bare.out
    assert "note: 7 neighbours voted" in bare.out
    assert "2 more neighbours voted: --all shows them" in bare.out
    assert "n = 120 train pairs of mojicoco" in bare.out
    assert "threshold" in bare.out
    told = predict(path, "--caption", "A dog & a <cat>", "--all")
    assert "more neighbours" not in told.out
    assert 'caption: "A dog & a <cat>"' in told.out
    assert "note:" not in told.out


def test_an_image_of_the_database_finds_itself_at_distance_0(
    workspace: Path, predict: Predict
) -> None:
    dataset = dataset_of(workspace)
    row = int(dataset.rows("database")[7])
    (path,) = write_photos(workspace, [row])
    caption = dataset.frame["captions"].tolist()[row][0]
    result = predict(path, "--caption", caption, "--json")
    nearest = [one for one in json.loads(result.out)[0]["neighbours"] if one["distance"] == 0]
    assert dataset.frame["image_id"].tolist()[row] in [one["image_id"] for one in nearest]
    assert "distance 0: the same code" in predict(path, "--caption", caption).out


def test_a_folder_in_the_order_of_names_and_each_photo_once(
    workspace: Path, predict: Predict
) -> None:
    paths = sorted(write_photos(workspace, rows_of_test(workspace, 3)))
    folder = workspace / "photos"
    (folder / "below").mkdir()
    paths[0].rename(folder / "below" / "z.JPG")
    with Image.open(paths[1]) as image:
        image.convert("RGBA").save(folder / "a.png")
        image.save(folder / "b.webp", lossless=True)
    (folder / "notes.txt").write_text("no photo")
    (folder / ".hidden.png").write_bytes((folder / "a.png").read_bytes())
    result = predict(paths[2], "photos", folder / "a.png", "--json")
    assert (result.code, result.err) == (0, "")
    found = json.loads(result.out)
    inside = [paths[1].name, "a.png", "b.webp", "below/z.JPG"]
    assert [one["path"] for one in found] == [str(paths[2]), *(f"photos/{n}" for n in inside)]
    # The same pixels in another format are the same photo.
    assert found[1]["tags"] == found[2]["tags"] == found[3]["tags"]


def test_what_cannot_be_read_is_named_and_the_rest_is_done(
    workspace: Path, predict: Predict
) -> None:
    (path,) = write_photos(workspace, rows_of_test(workspace, 1))
    broken = workspace / "photos/broken.jpg"
    broken.write_bytes(path.read_bytes()[:-300])
    (workspace / "empty").mkdir()
    result = predict(broken, path, "nowhere.png", "empty", "--json")
    assert result.code == EXIT_BAD_INPUT
    assert [one["path"] for one in json.loads(result.out)] == [str(path)]
    for part in (f"error: {broken}: ", "error: nowhere.png: cannot be read", "error: empty: no ph"):
        assert part in result.err
    assert "Traceback" not in result.err
    nothing = predict("nowhere.png", "--json")
    assert (nothing.code, json.loads(nothing.out)) == (EXIT_BAD_INPUT, [])


def test_a_photo_is_turned_upright(workspace: Path, predict: Predict) -> None:
    (path,) = write_photos(workspace, rows_of_test(workspace, 1))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it rotated by 90 degrees clockwise
    with Image.open(path) as image:
        image.save("upright.png")
        image.transpose(Image.Transpose.ROTATE_90).save("turned.png", exif=exif)
    upright, turned = json.loads(predict("upright.png", "turned.png", "--json").out)
    assert upright["tags"] == turned["tags"]


@pytest.mark.parametrize(
    ("missing", "part"),
    [
        ("outputs/mojicoco/siglip2-tiny/head", "siglip2-tiny/head"),
        ("outputs/mojicoco/siglip2-tiny/database.faiss", "database.faiss"),
        ("data", "index.parquet"),
    ],
)
def test_missing_outputs(workspace: Path, predict: Predict, missing: str, part: str) -> None:
    (path,) = write_photos(workspace, rows_of_test(workspace, 1))
    (workspace / missing).unlink()
    result = predict(path)
    assert (result.code, result.out) == (EXIT_BAD_INPUT, "")
    assert "error: no finished run of this dataset and backbone: missing " in result.err
    assert part in result.err
    assert "run `dvc repro`" in result.err


def test_outputs_of_different_runs_are_refused(workspace: Path, predict: Predict) -> None:
    (path,) = write_photos(workspace, rows_of_test(workspace, 1))
    head = workspace / OUTPUTS / "head"
    source = head.resolve()
    head.unlink()
    shutil.copytree(source, head)
    best = (head / "best.safetensors").read_bytes()
    others = (path for path in head.glob("epoch=*") if path.read_bytes() != best)
    shutil.copy(next(others), head / "best.safetensors")
    result = predict(path)
    assert (result.code, result.out) == (EXIT_BAD_INPUT, "")
    assert "they are of different runs" in result.err


def test_other_parameters_than_the_runs(workspace: Path, predict: Predict) -> None:
    (path,) = write_photos(workspace, rows_of_test(workspace, 1))
    (workspace / "params.yaml").write_text(small_params(hash__bits=128), encoding="utf-8")
    result = predict(path)
    assert result.code == 0
    assert "note: hash.bits = 128 in params.yaml, 64 in the head, which is used" in result.out
    (workspace / "params.yaml").write_text(small_params(backbone__text_max_length=32))
    result = predict(path)
    assert (result.code, result.out) == (EXIT_BAD_INPUT, "")
    assert "made with text_max_length = 64, params.yaml now gives 32" in result.err


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--k", "0"], "knn.K = 0"),
        (["--k", "500"], "--k = 500: the database has 120 items"),
        (["--top", "0"], "--top: 0: must be at least 1"),
        (["--caption", " "], "--caption is blank"),
        (["more.png", "--caption", "x"], "--caption is for a single photo, but there are 2"),
        (["--explain", "params.yaml/out.html"], "cannot be written (Not a directory)"),
    ],
)
def test_refusals(workspace: Path, predict: Predict, arguments: list[str], part: str) -> None:
    (path,) = write_photos(workspace, rows_of_test(workspace, 1))
    result = predict(path, *arguments)
    assert result.code == EXIT_BAD_INPUT
    assert part in result.err
    assert "Traceback" not in result.err


def test_imported_features_have_no_towers(workspace: Path, predict: Predict) -> None:
    text = small_params(
        backbone__checkpoint="imported",
        backbone__revision="0" * 64,
        runtime__features_folder=str(workspace),
    )
    (workspace / "params.yaml").write_text(text, encoding="utf-8")
    result = predict("photo.png")
    assert (result.code, result.out) == (EXIT_BAD_INPUT, "")
    assert "imported features come without their towers" in result.err


def fit_again(workspace: Path, **changes: Any) -> None:
    """Fit another head on the run's embeddings, and run what follows from it."""
    (workspace / "params.yaml").write_text(small_params(**changes), encoding="utf-8")
    for name in ("head", "codes", "database.faiss", "database.faiss.json", "evaluation"):
        (workspace / OUTPUTS / name).unlink()
    words = commands()
    stages = ("check_params", "train", "extract_hashes", "build_faiss_index", "evaluate_knn")
    for stage in stages:
        assert run_stage(words[stage]) == 0


def test_a_head_of_images_alone_needs_no_caption(workspace: Path, predict: Predict) -> None:
    fit_again(workspace, fusion__modalities="image", fusion__type="concat")
    rows = rows_of_test(workspace, 2)
    paths = write_photos(workspace, rows)
    result = predict(*paths, "--json", "--top", 80)
    found = json.loads(result.out)
    assert [one["caption_from"] for one in found] == ["unused", "unused"]
    stored = read_evaluation(workspace / OUTPUTS / "evaluation").predictions["test"]
    names = dataset_of(workspace).category_names
    for query, one in enumerate(found):
        scores = {tag["name"]: tag["scores"]["mlp"] for tag in one["tags"]}
        ours = [scores[name] for name in names]
        np.testing.assert_allclose(ours, stored.scores["mlp"][query], atol=1e-5)
    told = predict(paths[0], "--caption", "A dog.")
    assert "caption: not used: this head takes only images" in told.out


def test_a_head_of_captions_alone_asks_for_one(workspace: Path, predict: Predict) -> None:
    fit_again(workspace, fusion__modalities="caption", fusion__type="concat")
    (path,) = write_photos(workspace, rows_of_test(workspace, 1))
    bare = predict(path)
    assert (bare.code, bare.out) == (EXIT_BAD_INPUT, "")
    assert "this head takes only captions, and none is given\n  -> add --caption" in bare.err
    assert predict(path, "--caption", "A dog.").code == 0


def test_a_head_without_bits_compares_by_cosine(workspace: Path, predict: Predict) -> None:
    fit_again(workspace, hash__bits=0, knn__distance="cosine")
    (path,) = write_photos(workspace, rows_of_test(workspace, 1))
    (found,) = json.loads(predict(path, "--json").out)
    assert found["distance"] == "cosine"
    for one in found["neighbours"]:
        assert one["distance"] == pytest.approx(2 * (1 - one["similarity"]))


def test_names_and_captions_that_the_output_cannot_hold(
    workspace: Path, smhash: Callable[..., int], predict: Predict, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = write_photos(workspace, rows_of_test(workspace, 1))
    odd = Path(os.fsdecode(b"caf\xe9 \xf0\x9f\x90\x95.png"))  # Latin-1, then UTF-8
    shutil.copy(path, odd)
    more = ("--caption", "Ein Hündchen", "--explain", "out.html")
    written = io.BytesIO()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
        assert smhash("predict", odd, *more) == 0
        shown = written.getvalue().decode("ascii")
    assert shown.startswith('**caf\\udce9 \\U0001f415.png**\n\ncaption: "Ein H\\xfcndchen"\n')
    text = predict(odd, *more[:2], "--format", "text").out
    assert text.startswith('caf\\udce9 \N{DOG}.png\n\ncaption: "Ein Hündchen"\n')
    page = Path("out.html").read_text(encoding="utf-8")
    assert "<h2>caf\\udce9 \N{DOG}.png</h2>" in page
    told = predict(odd, *more[:2], "--json")
    assert told.out.isascii()
    (found,) = json.loads(told.out)
    assert (Path(found["path"]), found["caption"]) == (odd, "Ein Hündchen")
    gone = predict(os.fsdecode(b"caf\xe9.png"), "--json")
    assert (gone.code, gone.out) == (EXIT_BAD_INPUT, "[]\n")
    refused = predict(path, "--caption", os.fsdecode(b"caf\xe9"))
    assert refused.code == EXIT_BAD_INPUT
    assert "--caption is not UTF-8" in refused.err


def test_a_damaged_index_is_named_without_a_traceback(workspace: Path, predict: Predict) -> None:
    (path,) = write_photos(workspace, rows_of_test(workspace, 1))
    codes = workspace / OUTPUTS / "database.faiss"
    codes.unlink()
    codes.write_bytes(b"damaged")
    result = predict(path)
    assert (result.code, result.out) == (EXIT_BAD_INPUT, "")
    assert "database.faiss: not a readable FAISS index" in result.err
    assert "run `dvc repro build_faiss_index`" in result.err
    assert "Traceback" not in result.err


def test_the_page_of_real_photos(workspace: Path, predict: Predict) -> None:
    paths = write_photos(workspace, rows_of_test(workspace, 2))
    result = predict(*paths, "--explain", "made/out.html")
    assert result.code == 0
    text = (workspace / "made/out.html").read_text(encoding="utf-8")
    assert text.count("<article>") == 2
    assert text.count("<img ") == 2 * 21
    assert "http" not in text
    assert len(text) < 5_000_000


@pytest.mark.parametrize("kind", ["file", "mounted file"])
def test_the_page_takes_the_place_of_a_file_alone(
    workspace: Path, predict: Predict, kind: str
) -> None:
    (path,) = write_photos(workspace, rows_of_test(workspace, 1))
    with place(kind, workspace) as page:
        before = everything(workspace)
        result = predict(path, "--explain", page)
        after = everything(workspace)
        if kind == "mounted file":
            assert (result.code, after) == (EXIT_BAD_INPUT, before)
            assert f"error: {page}: cannot be written" in result.err
            return
        assert result.code == 0
        assert "<article>" in page.read_text(encoding="utf-8")
        named = str(page.resolve().relative_to(workspace))
        assert {k: v for k, v in before.items() if k != named} == {
            k: v for k, v in after.items() if k in before and k != named
        }
