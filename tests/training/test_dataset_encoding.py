"""From index and embeddings to a fit's data, and from a fitted head to codes and scores."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from siglip2_multimodal_hash.datasets.index import DatasetIndex, make_index
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.features.store import Embeddings
from siglip2_multimodal_hash.models.network import HashNetwork
from siglip2_multimodal_hash.training.inference import encode_dataset
from siglip2_multimodal_hash.training.splits import (
    encode_embeddings,
    head_config,
    training_splits,
)
from tests.training.small_fits import (
    CAPTIONS,
    CLASSES,
    DIM,
    small_arrays,
    small_head,
    small_params,
)

SPLITS = ["train", "val", "restval", "test", "val", "train"]


def new_network(**changes: Any) -> HashNetwork:
    torch.manual_seed(0)
    return HashNetwork(small_head(**changes))


def first_captions(n: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    arrays = small_arrays(n)
    return arrays["image"], arrays["caption"][::CAPTIONS]


def index_and_embeddings() -> tuple[DatasetIndex, Embeddings]:
    n = len(SPLITS)
    arrays = small_arrays(n)
    columns = {
        "image_id": np.arange(n) * 10,
        "file_name": [f"{one}.jpg" for one in range(n)],
        "split": SPLITS,
        "width": np.full(n, 8),
        "height": np.full(n, 8),
        "bytes": np.full(n, 100),
    }
    captions = [["a"] * CAPTIONS] * n
    names = tuple("abcd")
    index = make_index(columns, captions, arrays["labels"], tuple(range(1, CLASSES + 1)), names)
    prompts = np.ones((CLASSES, DIM), dtype=np.float32)
    vectors = Embeddings(arrays["image"], arrays["caption"], arrays["caption_offsets"], prompts, {})
    return index, vectors


def test_train_has_restval_and_all_captions_and_val_has_one() -> None:
    index, vectors = index_and_embeddings()
    train, val = training_splits(index, vectors, "first")
    cpu = torch.device("cpu")
    assert np.array_equal(train.v_img.to(cpu), vectors.image[[0, 2, 5]])
    own = [row * CAPTIONS + one for row in (0, 2, 5) for one in range(CAPTIONS)]
    assert np.array_equal(train.captions.to(cpu), vectors.caption[own])
    assert train.caption_offsets.tolist() == [0, 3, 6, 9]
    assert np.array_equal(train.labels, index.labels()[[0, 2, 5]])
    assert np.array_equal(val.v_img, vectors.image[[1, 4]])
    assert np.array_equal(val.v_txt, vectors.caption[[3, 12]])
    assert np.array_equal(val.labels, index.labels()[[1, 4]])


def test_val_may_have_the_mean_of_the_captions() -> None:
    index, vectors = index_and_embeddings()
    _, val = training_splits(index, vectors, "mean")
    expected = [vectors.caption[start : start + 3].mean(axis=0) for start in (3, 12)]
    np.testing.assert_allclose(val.v_txt, expected, rtol=1e-5, atol=1e-6)


def test_embeddings_of_other_images_are_refused() -> None:
    index, one = index_and_embeddings()
    more = small_arrays(9)
    vectors = Embeddings(more["image"], more["caption"], more["caption_offsets"], one.prompt, {})
    with pytest.raises(DataError, match=r"6 images and 18 captions, the embeddings 9 and 27"):
        training_splits(index, vectors, "first")


def test_the_head_takes_its_widths_from_the_embeddings() -> None:
    _, vectors = index_and_embeddings()
    params = small_params(hash={"bits": 32})
    config = head_config(params, vectors)
    widths = (config.image_dim, config.caption_dim, config.classes, config.bits)
    assert widths == (DIM, DIM, CLASSES, 32)


@pytest.mark.parametrize("bits", [0, 16])
def test_the_size_of_the_batches_changes_nothing(bits: Any) -> None:
    network, (v_img, v_txt) = new_network(bits=bits), first_captions(50)
    codes, scores = encode_dataset(network, v_img, v_txt, 50)
    assert codes.dtype == scores.dtype == np.float32
    assert codes.shape == (50, 16)
    assert scores.shape == (50, CLASSES)
    for batch_size in (1, 7, 1000):
        again = encode_dataset(network, v_img, v_txt, batch_size)
        np.testing.assert_allclose(again[0], codes, rtol=0, atol=1e-6)
        np.testing.assert_allclose(again[1], scores, rtol=0, atol=1e-6)


def test_soft_codes_and_scores_stay_in_their_ranges() -> None:
    codes, scores = encode_dataset(new_network(), *first_captions(30), 8)
    assert np.abs(codes).max() <= 1
    assert ((scores >= 0) & (scores <= 1)).all()


def test_without_bits_the_codes_have_unit_length() -> None:
    codes, _ = encode_dataset(new_network(bits=0), *first_captions(30), 8)
    np.testing.assert_allclose(np.linalg.norm(codes, axis=1), 1, atol=1e-6)


def test_memory_mapped_arrays_are_read_and_dropout_is_off(tmp_path: Path) -> None:
    v_img, v_txt = first_captions(20)
    np.save(tmp_path / "image.npy", v_img)
    mapped = np.load(tmp_path / "image.npy", mmap_mode="r")
    network = new_network(dropout=0.5).train()
    one, two = (encode_dataset(network, given, v_txt, 8) for given in (v_img, mapped))
    assert np.array_equal(one[0], two[0])
    assert np.array_equal(one[1], two[1])


def test_arrays_of_unequal_lengths_are_a_defect() -> None:
    v_img, v_txt = first_captions(5)
    with pytest.raises(ValueError, match="5 image embeddings but 4"):
        encode_dataset(new_network(), v_img, v_txt[:4], 8)


def test_embeddings_are_encoded_with_the_caption_of_the_policy() -> None:
    _, vectors = index_and_embeddings()
    network = new_network()
    for policy in ("first", "mean"):
        codes, scores = encode_embeddings(network, vectors, policy, 4)
        expected = network.encode(
            torch.from_numpy(vectors.image), torch.from_numpy(vectors.captions_by_policy(policy))
        )
        np.testing.assert_allclose(codes, expected[0], atol=1e-6)
        np.testing.assert_allclose(scores, expected[1], atol=1e-6)
