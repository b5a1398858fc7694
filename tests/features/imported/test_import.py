"""Imported features, from either layout, are stored as if `embed` had written them."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from siglip2_multimodal_hash.arrays import Vectors
from siglip2_multimodal_hash.datasets.index import DatasetIndex
from siglip2_multimodal_hash.features.imported import writing
from siglip2_multimodal_hash.features.imported.importer import Imported
from siglip2_multimodal_hash.features.store import Embeddings, load_embeddings
from tests.features.imported.conftest import Layout, Take


def stored(imported: Imported) -> Embeddings:
    return load_embeddings(imported.folder)


def test_both_towers_from_numbered_files(
    tmp_path: Path, index: DatasetIndex, image: Vectors, layout: Layout, take_layout: Take
) -> None:
    one_each = image[:, ::-1] * 2
    ids = [f"/data/coco/{name}" for name in index.frame["file_name"]]
    folder = layout(tmp_path / "clip", ids, {"img_emb": image, "text_emb": one_each})
    imported = take_layout(folder)
    found = stored(imported)
    np.testing.assert_array_equal(found.image, image)
    # One row per image stands for all of its captions.
    counts = np.diff(index.caption_offsets())
    np.testing.assert_array_equal(found.caption, np.repeat(one_each, counts, axis=0))
    np.testing.assert_array_equal(found.caption_offsets, index.caption_offsets())
    assert found.prompt.shape == (3, 0)
    assert "12 rows of float32 in 3 file(s), ids by image_path" in imported.lines[0]
    assert "stands for all captions" in imported.lines[1]


def test_any_order_and_rows_of_other_images(
    tmp_path: Path, index: DatasetIndex, image: Vectors, layout: Layout, take_layout: Take
) -> None:
    order = np.random.default_rng(3).permutation(14)
    more = np.concatenate([image, np.ones((2, 5), np.float32)])[order]
    names = [*index.frame["file_name"], "val2014/unknown.jpg", "else.jpg"]
    folder = layout(tmp_path / "clip", [names[i] for i in order], {"img_emb": more}, column="key")
    imported = take_layout(folder)
    np.testing.assert_array_equal(stored(imported).image, image)
    assert "2 rows that the index does not have were left out" in imported.lines[0]


def test_one_row_a_caption(
    take_plain: Take, caption: Vectors, caption_ids: list[str], image: Vectors, image_ids: list[str]
) -> None:
    # Grouped by anything: the k-th row of an image is its k-th caption.
    order = np.argsort([int(one) % 5 for one in caption_ids], kind="stable")
    imported = take_plain(
        image=image,
        image_ids=image_ids,
        caption=caption[order],
        caption_ids=[caption_ids[row] for row in order],
    )
    np.testing.assert_array_equal(stored(imported).caption, caption)
    assert "stands for" not in imported.lines[1]


@pytest.mark.parametrize("kind", ["image", "caption"])
def test_one_modality(
    take_plain: Take, kind: str, image: Vectors, image_ids: list[str], index: DatasetIndex
) -> None:
    imported = take_plain(**{kind: image, f"{kind}_ids": image_ids})
    found = stored(imported)
    captions = int(index.caption_offsets()[-1])
    assert found.image.shape == (12, 5 if kind == "image" else 0)
    assert found.caption.shape == (captions, 5 if kind == "caption" else 0)
    assert found.captions_by_policy("mean").shape == (12, found.caption.shape[1])
    found.check_finite()
    assert not (imported.folder / ("caption.npy" if kind == "image" else "image.npy")).exists()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4"])
def test_every_width_of_float(
    take_plain: Take, image: Vectors, image_ids: list[str], dtype: str
) -> None:
    found = stored(take_plain(image=image.astype(dtype), image_ids=image_ids))
    assert found.image.dtype == np.float32
    np.testing.assert_array_equal(found.image, image.astype(dtype).astype(np.float32))


def test_the_array_is_the_file_that_embed_would_write(
    tmp_path: Path, take_plain: Take, image: Vectors, image_ids: list[str]
) -> None:
    imported = take_plain(image=image[::-1], image_ids=image_ids[::-1])
    np.save(tmp_path / "expected.npy", image)
    written = (imported.folder / "image.npy").read_bytes()
    assert written == (tmp_path / "expected.npy").read_bytes()


def test_chunks_do_not_show(
    monkeypatch: pytest.MonkeyPatch, take_plain: Take, image: Vectors, image_ids: list[str]
) -> None:
    whole = take_plain(image=image, image_ids=image_ids)
    monkeypatch.setattr(writing, "CHUNK", 5)
    assert take_plain(image=image, image_ids=image_ids).digest == whole.digest


def test_the_folder_is_named_by_its_content(
    tmp_path: Path,
    index: DatasetIndex,
    take_plain: Take,
    layout: Layout,
    take_layout: Take,
    image: Vectors,
) -> None:
    ids = list(index.frame["file_name"])
    plain = take_plain(image=image, image_ids=ids)
    assert plain.folder == (tmp_path / "features" / plain.digest).resolve()
    # The origin is no part of the content.
    assert take_layout(layout(tmp_path / "clip", ids, {"img_emb": image})).digest == plain.digest
    assert take_plain(image=image + 1, image_ids=ids).digest != plain.digest
    left = {path.name for path in (tmp_path / "features").iterdir()}
    assert len(left) == 2
    assert not any(name.startswith(".") for name in left)


def test_a_damaged_folder_of_the_same_content_makes_way(
    take_plain: Take, image: Vectors, image_ids: list[str]
) -> None:
    first = take_plain(image=image, image_ids=image_ids)
    (first.folder / "image.npy").write_bytes(b"damaged")
    again = take_plain(image=image, image_ids=image_ids)
    assert again.folder == first.folder
    np.testing.assert_array_equal(stored(again).image, image)


@pytest.mark.parametrize(("error", "warned"), [(0.0, True), (9e-4, True), (2e-3, False)])
def test_unit_length_is_warned_of(
    take_plain: Take,
    image: Vectors,
    image_ids: list[str],
    caplog: pytest.LogCaptureFixture,
    error: float,
    warned: bool,
) -> None:
    unit = image.astype(np.float64) / np.linalg.norm(image.astype(np.float64), axis=1)[:, None]
    unit[3] *= 1 + error
    with caplog.at_level(logging.WARNING):
        imported = take_plain(image=unit, image_ids=image_ids)
    assert ("their magnitude is a constant" in caplog.text) == warned
    assert json.loads((imported.folder / "meta.json").read_text())["normalised"] is warned
