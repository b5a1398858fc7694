"""The whole pass, from images and captions to the folder of embeddings."""

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModel

from siglip2_multimodal_hash.datasets.index import DatasetIndex
from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.features.prompts import fill_template
from siglip2_multimodal_hash.features.store import load_embeddings
from siglip2_multimodal_hash.features.timing import Stopwatch
from tests.features.direct_use import Direct
from tests.features.tiny import (
    Embed,
    FaultyImages,
    contents,
    make_runtime,
    open_archive,
    save_checkpoint,
)


def test_equals_the_library_used_by_hand(
    embed: Embed, checkpoint: Path, index: DatasetIndex, archive: Path
) -> None:
    embeddings = load_embeddings(embed(checkpoint))
    embeddings.check_finite()
    direct = Direct(checkpoint)
    images = [open_archive(archive).open(name) for name in index.frame["file_name"]]
    captions = direct.texts([" ".join(text.split()) for text in index.captions()])
    templates = ("a photo of a {}.", "{}", "a picture with a {} in it.")
    filled = [[fill_template(t, name) for name in index.category_names] for t in templates]
    per_template = np.stack([direct.texts(texts) for texts in filled])
    np.testing.assert_allclose(embeddings.image, direct.images(images), atol=1e-5)
    np.testing.assert_allclose(embeddings.caption, captions, atol=1e-5)
    units = per_template / np.linalg.norm(per_template, axis=2, keepdims=True)
    np.testing.assert_allclose(embeddings.prompt, units.mean(axis=0), atol=1e-5)
    assert np.array_equal(embeddings.caption_offsets, index.caption_offsets())
    assert np.abs(np.linalg.norm(embeddings.image, axis=1) - 1).min() > 0.1


def test_equal_captions_get_identical_rows(
    embed: Embed, checkpoint: Path, index: DatasetIndex
) -> None:
    caption = load_embeddings(embed(checkpoint)).caption
    texts = [" ".join(text.lower().split()) for text in index.captions()]
    for row, text in enumerate(texts):
        assert np.array_equal(caption[row], caption[texts.index(text)])
    assert len(np.unique(caption, axis=0)) == len(set(texts)) == 5


def test_bytes_are_reproducible_whatever_the_workers(embed: Embed, checkpoint: Path) -> None:
    first = contents(embed(checkpoint, "first"))
    assert first == contents(embed(checkpoint, "again"))
    assert first == contents(embed(checkpoint, "threads", runtime=make_runtime(workers=3)))


def test_meta_tells_what_made_the_embeddings(embed: Embed, checkpoint: Path) -> None:
    text = (embed(checkpoint, text_max_length=48) / "meta.json").read_text()
    meta = json.loads(text)
    digest = hashlib.sha256((checkpoint / "model.safetensors").read_bytes()).hexdigest()
    naflex = checkpoint.name == "siglip2"
    assert meta == {
        "checkpoint": str(checkpoint),
        "revision": None,
        "commit": None,
        "weights_sha256": {"model.safetensors": digest},
        "model_type": checkpoint.name,
        "image_processor": "Siglip2ImageProcessorPil" if naflex else "SiglipImageProcessorPil",
        "max_num_patches": 16 if naflex else None,
        "text_max_length": 48,
        "prompt_templates": ["a photo of a {}.", "{}", "a picture with a {} in it."],
        "prompt_ensemble": "mean over the templates of unit vectors",
        "amp_dtype": "float32",
        "dtype": "float32",
        "normalised": False,
        "images": 12,
        "captions": 24,
        "classes": 3,
        "image_dim": 32,
        "caption_dim": 32,
    }


@pytest.mark.parametrize(
    ("changes", "changed"),
    [
        ({"text_max_length": 32}, {"caption.npy", "prompt.npy", "meta.json"}),
        ({"prompt_templates": ["one {}"]}, {"prompt.npy", "meta.json"}),
        ({"amp_dtype": "bfloat16"}, {"image.npy", "caption.npy", "prompt.npy", "meta.json"}),
        ({"store_dtype": "float16"}, {"image.npy", "caption.npy", "meta.json"}),
        ({"max_num_patches": 32}, {"image.npy", "meta.json"}),
        ({"name": "other"}, set()),
    ],
)
def test_each_parameter_acts_where_it_should(
    embed: Embed, checkpoints: dict[str, Path], changes: dict[str, Any], changed: set[str]
) -> None:
    plain = contents(embed(checkpoints["siglip2"], "plain"))
    other = contents(embed(checkpoints["siglip2"], "other", **changes))
    assert {name for name in plain if plain[name] != other[name]} == changed


def test_bad_images_leave_no_folder(
    embed: Embed, checkpoint: Path, archive: Path, tmp_path: Path
) -> None:
    class Damaged:
        def __init__(self) -> None:
            self.asked: list[str] = []

        def read(self, name: str) -> bytes:
            self.asked.append(name)
            if name[-7:-4] in {"002", "009"}:
                raise DataError(f"{name}: no such file", "remedy")
            return open_archive(archive).read(name)

        def decode(self, data: bytes, name: str) -> Image.Image:
            return open_archive(archive).decode(data, name)

    images = Damaged()
    with pytest.raises(DataError) as caught:
        embed(checkpoint, images=images)
    message = str(caught.value)
    assert "2 of the images cannot be read" in message
    assert "val2014/002.jpg: no such file" in message
    assert "val2014/009.jpg: no such file" in message
    assert len(images.asked) == 12
    assert [path.name for path in tmp_path.iterdir()] == [archive.name]


def test_half_precision_is_the_same_rounded_in_half_the_room(
    embed: Embed, checkpoint: Path
) -> None:
    single = embed(checkpoint, "single")
    half = embed(checkpoint, "half", store_dtype="float16")
    for name in ("image.npy", "caption.npy"):
        full, rounded = np.load(single / name), np.load(half / name)
        assert (full.dtype, rounded.dtype) == (np.float32, np.float16)
        assert rounded.nbytes * 2 == full.nbytes
        assert np.array_equal(rounded, full.astype(np.float16))
    metas = [json.loads((folder / "meta.json").read_text()) for folder in (single, half)]
    assert [meta["dtype"] for meta in metas] == ["float32", "float16"]
    assert metas[0] | {"dtype": "float16"} == metas[1]


def test_unfinished_work_in_another_precision_is_not_continued(
    embed: Embed, checkpoint: Path, archive: Path, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    interrupted = FaultyImages(archive, "009.jpg", KeyboardInterrupt())
    small = make_runtime(batch_size=2)
    whole = contents(embed(checkpoint, "whole", runtime=small, store_dtype="float16"))
    with pytest.raises(KeyboardInterrupt):
        embed(checkpoint, runtime=small, images=interrupted, shard_seconds=0)
    assert (tmp_path / "out.partial" / "progress.json").exists()
    assert contents(embed(checkpoint, runtime=small, store_dtype="float16")) == whole
    assert "discarded: it was made with another dtype" in caplog.text


def test_embeddings_that_half_precision_cannot_hold(embed: Embed, tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path / "large", "siglip")
    model = AutoModel.from_pretrained(folder)
    with torch.no_grad():
        model.vision_model.head.mlp.fc2.bias[3] = 70_000
    model.save_pretrained(folder)
    with pytest.raises(DataError, match=r"image\.npy: row 0 holds 7\d{4}.*\n.*store_dtype"):
        embed(folder, store_dtype="float16")
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.partial").exists()
    embed(folder)


def test_broken_weights_are_not_written_as_numbers(embed: Embed, tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path / "nan", "siglip")
    model = AutoModel.from_pretrained(folder)
    with torch.no_grad():
        model.vision_model.post_layernorm.bias[0] = torch.nan
    model.save_pretrained(folder)
    with pytest.raises(DataError, match=r"image\.npy.*row 0"):
        embed(folder)
    assert not (tmp_path / "out").exists()


def test_texts_too_short_to_differ_are_refused(
    embed: Embed, checkpoint: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="'airplane' and 'cat'"):
        embed(checkpoint, text_max_length=4, prompt_templates=["one {}"])
    assert not (tmp_path / "out").exists()


def test_log_tells_rates_and_the_bottleneck(
    embed: Embed, checkpoint: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    embed(checkpoint)
    images, captions = (record.message for record in caplog.records if "/s" in record.message)
    assert images.startswith("12 images in ")
    assert captions.startswith("24 captions in ")
    for line in (images, captions):
        assert all(part in line for part in ("reader", "mapper", "writer", "bottleneck: "))


def test_stopwatch(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 1.0, 1.0, 4.0, 4.0, 5.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(times))
    watch = Stopwatch()
    for part in ("reader", "mapper", "reader"):
        with watch.time(part):
            pass
    assert watch.report(50, "images") == (
        "50 images in 5.0 s, 10 images/s (waited for reader 2.0 s, mapper 3.0 s; "
        "bottleneck: mapper)"
    )
