"""Batches that do not fit into memory are computed in parts."""

import logging
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Never

import numpy as np
import pytest
import torch
from torch import Tensor

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.features import runner
from siglip2_multimodal_hash.features.backoff import BackingOff
from siglip2_multimodal_hash.features.preprocessing import Inputs
from siglip2_multimodal_hash.features.store import Embeddings, load_embeddings
from siglip2_multimodal_hash.features.towers import Towers, load_towers
from tests.features.tiny import Embed, make_runtime

EmbedByName = Callable[[str], Embeddings]


class Room:
    """An encoder with memory for so many items; it remembers the sizes that it was given."""

    def __init__(self, items: int) -> None:
        self.items = items
        self.sizes: list[int] = []

    def __call__(self, inputs: Inputs) -> Tensor:
        values = inputs["values"]
        self.sizes.append(len(values))
        if len(values) > self.items:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return values * inputs["factor"]


def inputs(count: int) -> Inputs:
    return {"values": torch.arange(count)[:, None] * 1.0, "factor": torch.full((count, 1), 2.0)}


def test_a_batch_that_fits_is_not_touched() -> None:
    room = Room(8)
    given = inputs(8)
    assert torch.equal(BackingOff(room, "images")(given), given["values"] * 2)
    assert room.sizes == [8]


def test_the_size_halves_until_it_fits_and_stays(caplog: pytest.LogCaptureFixture) -> None:
    room = Room(3)
    encode = BackingOff(room, "images")
    assert encode(inputs(9)).flatten().tolist() == list(range(0, 18, 2))
    # 9 and 4 fail; then 2 at once, and from then on always.
    assert room.sizes == [9, 4, 2, 2, 2, 2, 1]
    room.sizes.clear()
    assert encode(inputs(5)).flatten().tolist() == [0, 2, 4, 6, 8]
    assert room.sizes == [2, 2, 1]
    key = "(runtime.dataloader.embed_batch_size)"
    assert caplog.messages == [
        f"images: out of memory with 9 at once, continuing with 4 {key}",
        f"images: out of memory with 4 at once, continuing with 2 {key}",
        "images: 2 at once fit",
    ]


def test_no_room_for_one_names_the_parameters() -> None:
    room = Room(0)
    with pytest.raises(InputError, match="images: out of memory even with one") as caught:
        BackingOff(room, "images")(inputs(4))
    assert room.sizes == [4, 2, 1]
    for key in (
        "runtime.dataloader.embed_batch_size",
        "backbone.max_num_patches",
        "backbone.amp_dtype",
        "rtx5080-16gb-emergency",
    ):
        assert key in str(caught.value)


def test_the_memory_of_the_cpu_counts_as_well() -> None:
    def encode(given: Inputs) -> Tensor:
        values = given["values"]
        if len(values) > 2:
            torch.empty(2**50)  # More than any address space has.
        return values

    assert len(BackingOff(encode, "images")(inputs(7))) == 7


def test_other_errors_come_through() -> None:
    def encode(_given: Inputs) -> Never:
        raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect"):
        BackingOff(encode, "images")(inputs(4))


def test_a_copy_keeps_the_size_that_holds() -> None:
    encode = BackingOff(Room(3), "images")
    encode(inputs(8))
    copy = pickle.loads(pickle.dumps(encode))
    copy._encode.sizes.clear()
    copy(inputs(8))
    assert copy._encode.sizes == [2, 2, 2, 2]


@pytest.fixture
def embed(embed: Embed, checkpoint: Path) -> EmbedByName:
    return lambda name: load_embeddings(embed(checkpoint, name, runtime=make_runtime(2, 5)))


@pytest.fixture
def with_room_for(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let the towers' device hold so few items."""

    def set_room(items: int) -> None:
        def fit(features: Callable[..., Any], **inputs: Tensor) -> Any:
            if len(next(iter(inputs.values()))) > items:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return features(**inputs)

        def load(*arguments: Any) -> Towers:
            towers = load_towers(*arguments)
            for method in ("get_image_features", "get_text_features"):
                setattr(towers.model, method, partial(fit, getattr(towers.model, method)))
            return towers

        monkeypatch.setattr(runner, "load_towers", load)

    return set_room


def test_the_pass_goes_on_in_smaller_parts(
    embed: EmbedByName, with_room_for: Callable[[int], None], caplog: pytest.LogCaptureFixture
) -> None:
    whole = embed("whole")
    with_room_for(2)
    caplog.set_level(logging.WARNING)
    parts = embed("parts")
    for name in ("image", "caption", "prompt"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), atol=1e-5)
    assert "images: 2 at once fit" in caplog.messages
    assert "class prompts: 1 at once fit" in caplog.messages  # Three classes: 3, then 1.
    assert "captions: 2 at once fit" in caplog.messages
    assert parts.meta == whole.meta


def test_a_card_too_small_leaves_one_message_and_nothing_else(
    embed: EmbedByName, with_room_for: Callable[[int], None], tmp_path: Path
) -> None:
    with_room_for(0)
    with pytest.raises(InputError, match="out of memory even with one"):
        embed("none")
    assert not list(tmp_path.glob("none*"))
