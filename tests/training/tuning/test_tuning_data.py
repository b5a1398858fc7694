"""Order of an epoch of tuning: every image once, one of its captions, in a seeded order."""

from collections import Counter

import numpy as np
import pytest
import torch

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.features.towers import load_towers
from siglip2_multimodal_hash.training.tuning.data import Epoch, Split, batch_count, pair_batches
from siglip2_multimodal_hash.training.tuning.settings import TuneSettings
from tests.training.tuning.conftest import SmallDataset, TuningParams

SPLIT = Split(
    files=("0", "1", "2"),
    captions=(("0a", "0b"), ("1a",), ("2a", "2b", "2c")),
    labels=torch.eye(3),
)


def test_an_epoch_is_a_permutation_with_one_caption_each() -> None:
    epoch = Epoch.draw(SPLIT, 5)
    assert sorted(epoch.files) == ["0", "1", "2"]
    for file, caption, labels in zip(epoch.files, epoch.captions, epoch.labels, strict=True):
        assert caption.startswith(file)
        assert labels.argmax() == int(file)
    again = Epoch.draw(SPLIT, 5)
    assert (again.files, again.captions) == (epoch.files, epoch.captions)


def test_every_caption_is_drawn_equally_often() -> None:
    drawn = Counter(caption for seed in range(600) for caption in Epoch.draw(SPLIT, seed).captions)
    assert drawn["1a"] == 600
    assert all(abs(drawn[caption] - 200) < 50 for caption in ("2a", "2b", "2c"))


def test_offsets_and_the_first_captions() -> None:
    assert SPLIT.caption_offsets().tolist() == [0, 2, 3, 6]
    assert SPLIT.one_caption().all_captions() == ["0a", "1a", "2a"]
    sample = SPLIT.first(2, torch.Generator().manual_seed(0))
    assert len(sample) == 2
    assert [captions[0][0] for captions in sample.captions] == list(sample.files)
    assert SPLIT.first(9, torch.Generator()).files == SPLIT.files


def test_incomplete_batches_are_left_out_unless_it_is_the_only_one() -> None:
    assert [batch_count(samples, 8) for samples in (3, 8, 15, 16)] == [1, 1, 1, 2]


def test_an_empty_split_is_refused() -> None:
    with pytest.raises(DataError, match="no image"):
        Split((), (), torch.zeros(0, 3))


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_hold_images_captions_and_labels_of_the_same_rows(
    small_dataset: SmallDataset, tuning_params: TuningParams, workers: int
) -> None:
    settings = TuneSettings.from_params(tuning_params("siglip", "full"))
    towers = load_towers(settings.towers, torch.device("cpu"))
    split = Split.of(small_dataset.index, "val")
    epoch = Epoch.draw(split, 1)
    batches = list(pair_batches(small_dataset.images, epoch, towers, 5, workers))
    assert len(batches) == 16 // 5
    torch.testing.assert_close(torch.cat([batch.labels for batch in batches]), epoch.labels[:15])
    first = small_dataset.images.open(epoch.files[5])
    np.testing.assert_array_equal(
        batches[1].images["pixel_values"][0], towers.preprocess([first])["pixel_values"][0]
    )
    tokens = towers.tokenize([epoch.captions[14]])["input_ids"][0]
    assert torch.equal(batches[2].captions["input_ids"][4], tokens)
