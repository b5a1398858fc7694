"""Data of a fit: selection, caption draws, refusals."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.training.data import TrainingData, ValidationData
from tests.training.small_fits import small_arrays


def numbered(counts: list[int]) -> TrainingData:
    """Images with so many captions each; a caption's embedding is its own row number."""
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    n, m = len(counts), int(offsets[-1])
    return TrainingData.select(
        np.arange(n),
        image=np.arange(n, dtype=np.float32)[:, None],
        caption=np.arange(m, dtype=np.float32)[:, None],
        caption_offsets=offsets,
        labels=np.ones((n, 1), dtype=np.uint8),
    )


def draw(data: TrainingData, seed: int) -> torch.Tensor:
    return data.draw_captions(torch.Generator().manual_seed(seed))


@given(counts=st.lists(st.integers(1, 9), min_size=1, max_size=40), seed=st.integers(0, 2**31))
def test_draws_are_seeded_and_within_the_images_own_captions(counts: list[int], seed: int) -> None:
    data = numbered(counts)
    drawn = draw(data, seed)
    assert drawn.dtype == torch.int64
    assert (drawn >= data.caption_offsets[:-1]).all()
    assert (drawn < data.caption_offsets[1:]).all()
    assert torch.equal(drawn, draw(data, seed))


@pytest.mark.parametrize("count", [1, 2, 3, 5, 7])
def test_draws_are_uniform(count: int) -> None:
    draws, images = 7000, 10
    data = numbered([count] * (draws // images) * images)
    which = draw(data, 0) - data.caption_offsets[:-1]
    shares = torch.bincount(which, minlength=count).double() / draws
    # Five standard deviations of a share.
    tolerance = 5 * (1 / count * (1 - 1 / count) / draws) ** 0.5
    assert (shares - 1 / count).abs().max() <= tolerance


def test_the_largest_uniform_number_still_falls_within(monkeypatch: pytest.MonkeyPatch) -> None:
    def largest(n: int, **_: Any) -> torch.Tensor:
        return torch.full((n,), 1 - 2**-53, dtype=torch.float64)

    monkeypatch.setattr(torch, "rand", largest)
    data = numbered(list(range(1, 200)))
    assert torch.equal(data.draw_captions(torch.Generator()), data.caption_offsets[1:] - 1)


def test_different_seeds_draw_differently() -> None:
    data = numbered([5] * 100)
    assert not torch.equal(draw(data, 1), draw(data, 2))


@given(
    counts=st.lists(st.integers(1, 4), min_size=1, max_size=20),
    choice=st.lists(st.integers(0, 10**6), min_size=1, max_size=20),
)
def test_selected_images_keep_their_captions_in_order(counts: list[int], choice: list[int]) -> None:
    rows = np.array([one % len(counts) for one in choice])
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    caption = np.arange(offsets[-1], dtype=np.float32)[:, None]
    image = np.arange(len(counts), dtype=np.float32)[:, None]
    labels = (np.arange(len(counts)) % 2).astype(np.uint8)[:, None]
    data = TrainingData.select(
        rows, image=image, caption=caption, caption_offsets=offsets, labels=labels
    )
    assert data.v_img.index_select(0, torch.arange(len(rows))).flatten().tolist() == rows.tolist()
    assert data.labels.flatten().tolist() == (rows % 2).tolist()
    for position, row in enumerate(rows):
        start, stop = data.caption_offsets[position : position + 2].tolist()
        own = list(range(offsets[row], offsets[row + 1]))
        assert data.captions.index_select(0, torch.arange(start, stop)).flatten().tolist() == own


def test_first_pairs_are_each_image_with_its_first_caption() -> None:
    data = numbered([2, 1, 3, 1, 2])
    batches = list(data.first_pairs(batch_size=2))
    assert [len(v_img) for v_img, _ in batches] == [2, 2, 1]
    v_img, v_txt = (torch.cat(parts).flatten().tolist() for parts in zip(*batches, strict=True))
    assert v_img == [0, 1, 2, 3, 4]
    assert v_txt == [0, 2, 3, 6, 7]


def tensors(n: int = 6) -> dict[str, torch.Tensor]:
    arrays = small_arrays(n)
    return {
        "v_img": torch.from_numpy(arrays["image"]),
        "captions": torch.from_numpy(arrays["caption"]),
        "caption_offsets": torch.from_numpy(arrays["caption_offsets"]),
        "labels": torch.from_numpy(arrays["labels"]).float(),
    }


def offsets(*values: int) -> dict[str, torch.Tensor]:
    return {"caption_offsets": torch.tensor(values)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": torch.ones(5, 4)}, r"6 image embeddings, 5 rows of labels"),
        (offsets(0, 3, 6), r"and 3 caption offsets"),
        (offsets(0, 3, 6, 6, 12, 15, 18), r"row 2 has 0"),
        (offsets(0, 3, 6, 9, 12, 15, 17), r"to 17 of 18"),
        (offsets(1, 3, 6, 9, 12, 15, 18), r"from 1 to 18"),
    ],
)
def test_contradictions_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=rf"training split: .*{message}"):
        TrainingData(**(tensors() | change))


def test_an_empty_training_split_is_refused() -> None:
    with pytest.raises(DataError, match=r"training split: it has no image\n.*dataset\.protocol"):
        TrainingData.select(np.arange(0), **small_arrays(5))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize(("key", "name"), [("v_img", "image"), ("captions", "caption")])
def test_embeddings_that_are_not_finite_are_refused(key: str, name: str, value: float) -> None:
    changed = tensors()
    changed[key][4, 1] = value
    with pytest.raises(DataError, match=rf"training split: {name} embeddings: row 4 .*\n.*float32"):
        TrainingData(**changed)


def test_validation_data_is_checked_likewise() -> None:
    v_img, v_txt, labels = torch.ones(3, 2), torch.ones(3, 2), torch.ones(3, 1)
    assert len(ValidationData(v_img, v_txt, labels)) == 3
    with pytest.raises(DataError, match="validation split: 3 image embeddings, 2 caption"):
        ValidationData(v_img, v_txt[:2], labels)
    with pytest.raises(DataError, match="must be equal and not 0"):
        ValidationData(v_img[:0], v_txt[:0], labels[:0])
    with pytest.raises(DataError, match="validation split: caption embeddings: row 0"):
        ValidationData(v_img, v_txt * torch.nan, labels)
