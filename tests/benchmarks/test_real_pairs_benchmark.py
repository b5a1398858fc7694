"""The benchmark on real features, with files of the same layout for some dozen made-up images."""

import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.real_data import RealData, read_captions, read_pairs, read_tfidf, read_views
from benchmarks.real_pairs import (
    Runs,
    differences,
    main,
    params_of_row,
    parse_row,
    table,
)
from siglip2_multimodal_hash.errors import DataError, InputError

RESTVAL, VAL, TEST = np.arange(100, 220), np.arange(300, 330), np.arange(400, 420)
PAIRS = RESTVAL[::-1]
PHOTO_DIM, CAPTION_DIM = 24, 12
WORDS = ["cat", "dog", "sofa", "train", "kite", "wave"]


@pytest.fixture(autouse=True)
def _threads_stay() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Features that follow the labels: image i has classes i % 6 and i % 7."""
    folder = tmp_path_factory.mktemp("real")
    random = np.random.default_rng(0)
    ids = np.concatenate([RESTVAL, VAL, TEST])
    labels = np.zeros((len(ids), 80), dtype=np.uint8)
    rows = np.arange(len(ids))
    labels[rows, ids % 6] = labels[rows, ids % 7] = 1
    np.savez(
        folder / "labels80_trainval2014.npz",
        ids=ids,
        labels=np.packbits(labels, axis=1),
        is_val=np.ones(len(ids), dtype=bool),
        category_ids=np.arange(1, 81),
        category_names=np.array([f"class {number}" for number in range(80)]),
    )
    (folder / "karpathy").mkdir()
    for name, part in (("restval", RESTVAL), ("val", VAL), ("test", TEST)):
        (folder / "karpathy" / f"{name}_ids.txt").write_text("\n".join(map(str, part)) + "\n")
    texts = [(image, text) for image in ids.tolist() for text in ("a photo", WORDS[image % 6])]
    records = [
        {"id": number, "image_id": image, "caption": f"{text} {text}er {text}ish"}
        for number, (image, text) in enumerate(texts)
    ]
    with gzip.open(folder / "captions_val2014.json.gz", "wt") as stream:
        json.dump({"annotations": records}, stream)

    def features(of: Any, width: int) -> Any:
        drawn = np.random.default_rng(width).standard_normal((80, width))
        found = labels[np.searchsorted(ids, of)] @ drawn + random.standard_normal((len(of), width))
        return found.astype(np.float16)

    def save(name: str, array: Any) -> None:
        np.save(folder / f"{name}.npy", array)

    save("photo_ids", ids[ids < 400])
    save("photo_features", features(ids[ids < 400], PHOTO_DIM))
    save("photo_caption_ids", np.repeat(PAIRS, 3))
    save("photo_caption_features", features(np.repeat(PAIRS, 3), CAPTION_DIM))
    save("caption_ids", ids[ids < 400])
    save("caption_first", features(ids[ids < 400], CAPTION_DIM))
    save("caption_others_mean", features(ids[ids < 400], CAPTION_DIM))
    return folder


def test_photos_meet_their_captions_and_labels(folder: Path) -> None:
    data = read_pairs(folder, folder)
    vectors = data.embeddings
    assert vectors.image.shape == (120, PHOTO_DIM)
    assert vectors.caption_offsets.tolist() == list(range(0, 361, 3))
    photos, captions = (
        np.load(folder / f"{name}_features.npy") for name in ("photo", "photo_caption")
    )
    # Both in the order of the ids; the captions' file has the last image first.
    assert np.array_equal(vectors.image, photos[:120])
    assert np.array_equal(vectors.caption[:3], captions[-3:])
    assert vectors.caption.dtype == np.float32
    assert data.labels[4].nonzero()[0].tolist() == sorted({104 % 6, 104 % 7})


def test_each_image_is_tested_once_per_seed(folder: Path) -> None:
    data = read_pairs(folder, folder)
    splits = data.splits(folds=3, val=10, train=None, seed=0)
    assert [(len(one.train), len(one.val), len(one.test)) for one in splits] == [(70, 10, 40)] * 3
    assert sorted(row for one in splits for row in one.test) == list(range(120))
    for one in splits:
        assert len({*one.train, *one.val, *one.test}) == 120
        assert np.array_equal(one.database, one.train)
    other = data.splits(folds=3, val=10, train=None, seed=1)
    assert not np.array_equal(other[0].test, splits[0].test)


def test_a_smaller_train_is_part_of_a_larger_one(folder: Path) -> None:
    data = read_captions(folder, folder)
    few, more, every = (
        data.splits(folds=5, val=20, train=train, seed=3)[0] for train in (30, 60, None)
    )
    assert len(few.train) == 30
    assert {*few.train} < {*more.train} < {*every.train}
    assert np.array_equal(few.val, every.val)


@pytest.mark.parametrize(("folds", "train"), [(1, None), (121, None), (3, 71)])
def test_too_few_images_are_refused(folder: Path, folds: int, train: int | None) -> None:
    with pytest.raises(InputError, match="images"):
        read_pairs(folder, folder).splits(folds=folds, val=10, train=train, seed=0)


def test_captions_are_tested_on_karpathys_val(folder: Path) -> None:
    data = read_captions(folder, folder)
    (rows,) = data.splits(folds=5, val=20, train=None, seed=0)
    assert (len(rows.train), len(rows.val)) == (100, 20)
    assert np.array_equal(rows.test, np.arange(120, 150))
    assert data.embeddings.image.shape == (150, 0)
    views = read_views(folder, folder)
    assert np.array_equal(views.embeddings.image, np.load(folder / "caption_others_mean.npy"))
    assert np.array_equal(views.embeddings.caption, data.embeddings.caption)


def test_tfidf_has_all_three_parts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.real_data.TFIDF_DIMENSIONS", 4)
    data = read_tfidf(folder, folder)
    (rows,) = data.splits(folds=5, val=0, train=None, seed=7)
    assert np.array_equal(rows.train, np.arange(120))
    assert np.array_equal(rows.val, np.arange(120, 150))
    assert np.array_equal(rows.test, np.arange(150, 170))
    assert data.embeddings.caption.shape == (340, 4)


def test_a_caption_without_its_photo_is_named(folder: Path, tmp_path: Path) -> None:
    for file in folder.glob("photo*.npy"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    np.save(tmp_path / "photo_ids.npy", np.arange(150))
    with pytest.raises(DataError, match="70 images are not among the ids, such as 150"):
        read_pairs(tmp_path, folder)


def test_a_folder_without_the_files_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="name another folder for --features"):
        read_views(tmp_path, folder)
    with pytest.raises(InputError, match="name another --annotations"):
        read_captions(folder, tmp_path)


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        (read_pairs, ("hadamard_with_magnitude", "both", CAPTION_DIM)),
        (read_captions, ("concat", "caption", 0)),
        (read_views, ("hadamard_with_magnitude", "both", 0)),
    ],
)
def test_the_head_suits_the_widths(read: Any, expected: tuple[Any, ...], folder: Path) -> None:
    data: RealData = read(folder, folder)
    fusion = params_of_row({}, data).fusion
    assert (fusion.type, fusion.modalities, fusion.project_dim) == expected
    own = params_of_row({"fusion.modalities": "caption", "fusion.type": "concat"}, data).fusion
    assert (own.modalities, own.project_dim) == ("caption", 0)


def test_a_row_has_lists_and_a_name_of_its_own() -> None:
    name, values = parse_row("small:fusion.mlp_dims=[64,32],optimizer.lr=1e-3")
    assert (name, values) == ("small", {"fusion.mlp_dims": [64, 32], "optimizer.lr": 1e-3})
    with pytest.raises(InputError, match="taken"):
        parse_row("ITQ:hash.bits=16")


def test_the_table_by_hand() -> None:
    def runs(*values: float) -> list[dict[str, dict[str, float]]]:
        return [{"val": {"knn": 0.0}, "test": {"knn": value}} for value in values]

    found: Runs = {"first": runs(0.5, 0.6), "second": runs(0.6, 0.8)}
    assert differences(found)["second"]["knn"] == pytest.approx((0.15, 0.1, 0.2))
    lines = [line.split() for line in table(found).splitlines()]
    assert lines[1:] == [
        ["first", "55.0", "±", "7.1"],
        ["second", "70.0", "±", "14.1"],
        ["+15.0", "[+10.0,", "+20.0]"],
    ]


def test_it_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = f"--features {folder} --annotations {folder} --data pairs --folds 2 --val 20 --train 36"
    row = "caption:fusion.modalities=caption,fusion.type=concat,training.num_epochs=3"
    monkeypatch.setattr(sys, "argv", ["real_pairs.py", *given.split(), "--row", row])
    main()
    printed = capsys.readouterr().out.splitlines()
    result = json.loads(printed[-1])
    assert result["sizes"] == [{"train": 36, "val": 20, "test": 60}] * 2
    # No 64 principal components, and no 256 vectors for as many centroids.
    assert list(result["runs"]) == ["params.yaml", "caption", "float KNN", "LSH", "linear probe"]
    for split in ("val", "test"):
        names = {row: set(runs[0][split]) for row, runs in result["runs"].items()}
        every = {"knn", "best_vote", "mlp", "hybrid", "retrieval"}
        assert names["params.yaml"] == names["caption"] == every
        assert names["LSH"] == {"knn", "best_vote", "retrieval"}
        assert names["linear probe"] == {"mlp"}
    assert [len(runs) for runs in result["runs"].values()] == [2] * 5
    assert printed[0].split() == ["KNN", "best", "vote", "classifier", "hybrid", "retrieval"]


def test_features_are_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["real_pairs.py", "--annotations", str(folder)])
    with pytest.raises(InputError, match="--features"):
        main()
