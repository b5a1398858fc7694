"""The benchmarks of the embedding pass on a few images, and their arithmetic."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import embed_backends, embed_once, embed_pipeline
from benchmarks.embed_once import Seconds, extrapolate
from benchmarks.towers_and_images import images_for, make_towers
from siglip2_multimodal_hash.errors import InputError


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(6):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.jpg")
    (folder / "note.txt").write_text("not an image")
    return folder


def arguments(images: Path | None) -> argparse.Namespace:
    return argparse.Namespace(images=images, towers=["tiny"], threads=1, device="cpu")


def test_the_pass_is_compared_with_its_tower(photos: Path) -> None:
    loads = {("tiny", "cpu"): embed_pipeline.Load(images=10, batch=4, repetitions=3)}
    result = embed_pipeline.run(arguments(photos), loads)
    tiny = result["tiny"]
    assert result["end_to_end_over_tower"] == {"tiny": tiny["ratio"]}
    assert len(tiny["ratios"]) == 3
    assert tiny["ratio"] == sorted(tiny["ratios"])[1] > 0
    assert tiny["tower_images_per_second"] > 0
    assert min(tiny["reader_ms"], tiny["tower_ms"]) > 0
    assert 0 < tiny["limit"] < 1
    assert (tiny["images"], tiny["batch"], tiny["source"]) == (10, 4, "photos of the folder")
    assert (result["threads"], result["amp_dtype"]) == (1, "float32")
    assert result["device"].startswith("cpu, 1 threads")
    assert isinstance(result["within_goal"], bool)


def test_both_ways_of_training_are_measured() -> None:
    loads = {("tiny", "cpu"): embed_once.Load(rounds=1, steps=1, updates=2)}
    result = embed_once.run(arguments(None), loads)
    tiny = result["tiny"]
    assert result["factor_1_run"] == {"tiny": tiny["factor_1_run"]}
    assert result["factor_27_runs"] == {"tiny": tiny["factor_27_runs"]}
    assert 0 < tiny["factor_1_run"] < tiny["factor_27_runs"]
    assert tiny["seconds"].keys() == {"plan_step", "image", "caption", "cached_update"}
    assert tiny["source"] == "mojicoco, 128 x 128"


def test_every_backend_is_compared_with_pytorch_in_float32() -> None:
    result = embed_backends.run("tiny", images=2, repetitions=1)
    plain, half = result["torch float32"], result["torch bfloat16"]
    assert (plain["speedup"], plain["cpu_speedup"]) == (1, 1)
    assert plain["off"] < 1e-12 < half["off"] < 1e-3
    assert half["images_per_second"] > 0


def test_extrapolation_by_hand() -> None:
    # 30 epochs of 1,770 steps: 53,100 s the plan's way. 113,287 images of 5 captions: 1,132.87 +
    # 566.435 s; the updates: 53.1 s per run.
    found = extrapolate(Seconds(plan_step=1, image=0.01, caption=0.001, cached_update=0.001))
    assert found == {
        "factor_1_run": 30.3,  # 53,100 / 1,752.405
        "factor_27_runs": 457.6,  # 1,433,700 / 3,133.005
        "plan_hours_1_run": 14.75,
        "embedding_hours": 0.472,
        "cached_training_hours_1_run": 0.015,
    }


def test_the_base_towers_have_the_sizes_of_the_checkpoint() -> None:
    towers = make_towers("base", "cpu")
    # google/siglip2-base-patch16-256's image tower has 92.9 M parameters.
    assert sum(v.numel() for v in towers.model.vision_model.parameters()) == 92_930_304
    features = towers.encode_images(towers.preprocess([Image.new("RGB", (300, 200))]))
    assert features.shape == (1, 768)
    assert towers.encode_texts(["a cat"]).shape == (1, 768)


def test_names_repeat_where_there_are_fewer_files(photos: Path, tmp_path: Path) -> None:
    images = images_for("tiny", photos, tmp_path, 8)
    assert [name[-5] for name in images.take(8)] == list("01234501")


def test_a_folder_without_a_jpeg_is_named(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "one.png")
    with pytest.raises(InputError, match="holds no JPEG"):
        images_for("tiny", tmp_path, tmp_path, 8)
