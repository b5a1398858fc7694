"""The memory of a tuning: the estimate by hand, and the refusal of a load that does not fit."""

from dataclasses import replace

import pytest

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.memory.needs import (
    CUDA_CONTEXT,
    GIB,
    TUNING_PROCESS,
    Load,
    kept_bytes,
    largest_batch,
    require_memory,
    tuning_needs,
)
from siglip2_multimodal_hash.memory.towers import Tower

# D = 10, F = 40, 2 and 1 layers, 4 and 8 positions.
IMAGE, TEXT = Tower(10, 40, 2, 4, 100), Tower(10, 40, 1, 8, 16)
LOAD = Load(
    image=IMAGE,
    text=TEXT,
    weights=1000,
    trained=1000,
    head_weights=50,
    adapter_values=0,
    batch=3,
    half=False,
    checkpointing=False,
    cuda=True,
)


def test_the_parts_by_hand() -> None:
    needs = tuning_needs(LOAD)
    assert needs.weights == 4 * 1000 + 16 * 50
    assert (needs.gradients, needs.optimizer, needs.overhead) == (4000, 8000, CUDA_CONTEXT)
    # 4 (9 * 10 + 2 * 40) = 680 per position and layer; 4 * 5 * 10 = 200 outside; the inputs.
    image, text = 4 * (2 * 680 + 200) + 400, 8 * (680 + 200) + 64
    assert (kept_bytes(IMAGE, LOAD), kept_bytes(TEXT, LOAD)) == (image, text)
    assert needs.activations == 3 * (image + text + 8 * 680)
    assert needs.total == sum((4800, 4000, 8000, CUDA_CONTEXT, needs.activations))


def test_lora_has_no_gradients_of_the_towers_and_a_rank_more_to_keep() -> None:
    needs = tuning_needs(replace(LOAD, trained=20, adapter_values=5))
    assert (needs.gradients, needs.optimizer) == (80, 160)
    assert needs.activations == tuning_needs(LOAD).activations + 3 * 4 * 5 * (4 * 2 + 8 + 8)


def test_checkpointing_keeps_the_inputs_of_the_layers() -> None:
    needs = tuning_needs(replace(LOAD, checkpointing=True))
    image, text = 4 * (2 * 40 + 200) + 400, 8 * (40 + 200) + 64
    assert needs.activations == 3 * (image + text + 2 * 8 * 680)


def test_half_precision_and_main_memory() -> None:
    needs = tuning_needs(replace(LOAD, half=True, cuda=False))
    assert needs.weights == 6 * 1000 + 16 * 50 + 4 * 1000  # and the best epoch's copy
    assert needs.overhead == TUNING_PROCESS
    assert kept_bytes(IMAGE, replace(LOAD, half=True)) == 4 * (2 * 420 + 200) + 400


def test_the_largest_batch_fits_and_one_more_does_not() -> None:
    free = tuning_needs(LOAD).total + 1000
    batch = largest_batch(LOAD, free)
    assert tuning_needs(replace(LOAD, batch=batch)).total <= free
    assert tuning_needs(replace(LOAD, batch=batch + 1)).total > free
    assert largest_batch(LOAD, 1000) == 0


GENEROUS = 10**15


def test_what_fits_is_let_through() -> None:
    assert require_memory(LOAD, GENEROUS, "full") == tuning_needs(LOAD)


def test_a_refusal_gives_the_parts_and_every_way_out() -> None:
    load = replace(LOAD, image=replace(IMAGE, positions=10**6), text=replace(TEXT, layers=10**3))
    free = 5 * GIB
    with pytest.raises(InputError) as caught:
        require_memory(load, free, "full")
    message = str(caught.value)
    assert "backbone.tune = full with tune.batch_size = 3 needs about" in message
    assert "activations" in message
    assert "the card has 5.0 GiB free" in message
    batch = largest_batch(load, free)
    assert 0 < batch < 3
    assert f"lower tune.batch_size to {batch} " in message
    assert "set backbone.gradient_checkpointing to true with tune.batch_size = 2 or" in message
    assert "set backbone.tune to lora" in message


def test_ways_that_lead_nowhere_are_not_named() -> None:
    with pytest.raises(InputError) as caught:
        require_memory(replace(LOAD, checkpointing=True), 1000, "lora")
    message = str(caught.value)
    for key in ("batch_size to", "gradient_checkpointing", "tune to lora"):
        assert key not in message
    assert "choose a smaller backbone.checkpoint" in message
