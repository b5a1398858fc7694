"""The loop on a model of minimal size: resuming, the rate, sharing a batch, exporting."""

import csv
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, SiglipModel

from models.pretrain import towers
from models.pretrain.checkpoints import (
    Optimizers,
    Progress,
    export_checkpoint,
    load_state,
    save_state,
)
from models.pretrain.loop import (
    Course,
    Places,
    Plan,
    learning_rate,
    make_optimizers,
    pretrain,
)
from models.pretrain.parallel import first_then_others, gather_texts
from models.pretrain.scenes import FIXED, SceneBatch, endless, scene_batch
from models.pretrain.tokenizer import train_tokenizer
from models.pretrain.towers import fixed_config, new_fixed_model
from siglip2_multimodal_hash.errors import DataError, InputError

TOKENIZER = train_tokenizer(["a dog and a cat", "a photo of a bus."])


def small_model(width: int = 16) -> SiglipModel:
    config = fixed_config(len(TOKENIZER), width=width, vision_layers=1, text_layers=2, heads=1)
    return new_fixed_model(config, seed=1)


def small_batch(number: int, size: int = 4) -> SceneBatch:
    return scene_batch(FIXED, number * size, size, TOKENIZER)


def small_course(model: SiglipModel, out: Path, started: list[int]) -> Course[SceneBatch]:
    def batches(start: int) -> Iterator[SceneBatch]:
        started.append(start)
        return endless(small_batch, start, workers=0)

    return Course(
        model=model,
        batches=batches,
        encode_images=lambda batch: towers.image_features(model, batch.pixels),
        encode_texts=partial(towers.text_features, model),
        validate=lambda: 0.25,
        export=lambda: export_checkpoint(out, model, TOKENIZER),
    )


def test_rate_climbs_then_falls_to_nothing() -> None:
    plan = Plan(minutes=1, peak_lr=2e-3, warm_up=0.1)
    rates = [learning_rate(progress, plan) for progress in (0.0, 0.05, 0.1, 0.55, 1.0, 1.2)]
    assert rates == pytest.approx([0.0, 1e-3, 2e-3, 1e-3, 0.0, 0.0])


def test_training_writes_curve_checkpoint_and_state_and_goes_on_from_it(tmp_path: Path) -> None:
    places = Places(tmp_path / "out", tmp_path / "state", tmp_path / "curves" / "one.csv")
    model = small_model()
    started: list[int] = []
    untrained = {name: weight.clone() for name, weight in model.state_dict().items()}
    plan = Plan(minutes=1, bfloat16=False)
    # 12 seconds from one reading to the next: 5 steps per minute.
    clock = count(0.0, 12.0).__next__
    pretrain(small_course(model, places.out, started), plan, places, clock)
    with places.curve.open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["minutes"], row["samples"], row["zero_shot_map"]) for row in rows] == [
        ("1.00", "20", "0.2500")
    ]
    assert any(not torch.equal(w, untrained[n]) for n, w in model.state_dict().items())

    again = small_model()
    course = small_course(again, places.out, started)
    pretrain(course, Plan(minutes=2, bfloat16=False), places, clock)
    assert started == [0, 5]
    with places.curve.open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["samples"] for row in rows] == ["20", "40"]
    exported = AutoModel.from_pretrained(places.out, dtype=torch.float32)
    for name, weight in exported.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name].half().float()), name


def one_step(model: SiglipModel, optimizers: Optimizers) -> None:
    batch = small_batch(0)
    loss = towers.image_features(model, batch.pixels).square().sum()
    torch.autograd.backward(loss + towers.text_features(model, batch.tokens).square().sum())
    for optimizer in optimizers:
        optimizer.step()
    model.zero_grad()


def test_restored_state_goes_on_exactly(tmp_path: Path) -> None:
    plan = Plan(minutes=1, peak_lr=0.01)
    model = small_model()
    optimizers = make_optimizers(model, plan)
    one_step(model, optimizers)
    progress = Progress(steps=1, samples=4, minutes=0.5).noting((0.5, 4, 1.5, 0.25)).just_saved()
    save_state(tmp_path / "state", model, optimizers, progress)
    one_step(model, optimizers)

    other = small_model()
    restored = make_optimizers(other, plan)
    assert load_state(tmp_path / "state", other, restored) == progress
    one_step(other, restored)
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, other.state_dict()[name]), name


def test_state_of_another_architecture_is_refused(tmp_path: Path) -> None:
    model = small_model()
    save_state(tmp_path / "state", model, make_optimizers(model, Plan(minutes=1)), Progress())
    wider = small_model(width=32)
    with pytest.raises(DataError, match=r"state\.safetensors"):
        load_state(tmp_path / "state", wider, make_optimizers(wider, Plan(minutes=1)))


def test_no_state_is_no_error(tmp_path: Path) -> None:
    model = small_model()
    optimizers = make_optimizers(model, Plan(minutes=1))
    assert load_state(tmp_path / "none", model, optimizers) is None


def test_every_weight_has_one_optimizer() -> None:
    model = small_model()
    optimizers = make_optimizers(model, Plan(minutes=1))
    held = [w for o in optimizers for group in o.param_groups for w in group["params"]]
    assert len(held) == len(list(model.parameters()))
    assert {id(weight) for weight in held} == {id(weight) for weight in model.parameters()}


def test_a_single_process_shares_with_nobody() -> None:
    rows = torch.arange(8.0).view(4, 2)
    assert torch.equal(gather_texts(rows, 2), rows)
    with first_then_others():
        pass


def test_batches_are_fresh_and_reproducible() -> None:
    first, second = small_batch(0), small_batch(1)
    assert not torch.equal(first.pixels, second.pixels)
    again = next(endless(small_batch, 1, workers=0))
    assert torch.equal(again.pixels, second.pixels)
    assert torch.equal(again.tokens, second.tokens)
    assert first.tokens.shape == (8, 64)
    assert first.codes.shape == (4, 2)


def test_equal_weights_give_equal_bytes(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        export_checkpoint(tmp_path / folder, small_model(), TOKENIZER)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert "model.safetensors" in files
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
        assert str(tmp_path).encode() not in (tmp_path / "one" / name).read_bytes()


@pytest.mark.parametrize("folder", ["checkpoint", "state"])
def test_a_folder_of_something_else_is_refused(tmp_path: Path, folder: str) -> None:
    """Another checkpoint of these towers makes way, one of others does not, nor do notes in it."""

    def write() -> None:
        model = small_model()
        if folder == "checkpoint":
            export_checkpoint(tmp_path / folder, model, TOKENIZER)
        else:
            plan = Plan(minutes=1)
            save_state(tmp_path / folder, model, make_optimizers(model, plan), Progress())

    write()
    write()
    (tmp_path / folder / "notes.txt").touch()
    with pytest.raises(InputError, match="a folder is there"):
        write()
    assert (tmp_path / folder / "notes.txt").exists()
    if folder == "checkpoint":
        (tmp_path / folder / "notes.txt").unlink()
        config = tmp_path / folder / "config.json"
        config.write_text(config.read_text().replace('"vocab_size": ', '"vocab_size": 1'))
        with pytest.raises(InputError, match="a folder is there"):
            write()
