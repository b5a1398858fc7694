"""Stand-ins for missing captions, and photos unlike the dataset, in numbers checked by hand."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from siglip2_multimodal_hash.datasets.index import make_index
from siglip2_multimodal_hash.features.store import Embeddings
from siglip2_multimodal_hash.prediction.database import Database, mean_caption

FloatArray = npt.NDArray[np.float32]


def database_of(splits: list[str], image: FloatArray, caption: FloatArray) -> Database:
    """N images of these splits with as many captions each; image [N, D_i], caption [M, D_t]."""
    count, each = len(splits), len(caption) // len(splits)
    columns: dict[str, Any] = {name: [1] * count for name in ("width", "height", "bytes")}
    columns |= {"image_id": range(count), "file_name": ["a.jpg"] * count, "split": splits}
    dataset = make_index(
        columns, [["a"] * each] * count, np.ones((count, 1), np.uint8), (1,), ("person",)
    )
    offsets = np.arange(0, len(caption) + 1, each)
    embeddings = Embeddings(image, caption, offsets, np.zeros((1, 3), dtype=np.float32), {})
    unused: Any = None
    return Database(dataset, dataset.rows("database"), embeddings, unused, unused, {})


def test_the_mean_direction_at_the_mean_log_length() -> None:
    # Directions (1, 0) and (0, 1), lengths 2 and 8: the geometric mean is 4.
    captions = np.array([[[2, 0], [0, 8]]], dtype=np.float32)
    np.testing.assert_allclose(mean_caption(captions), [[4 / 2**0.5, 4 / 2**0.5]], rtol=1e-6)


def test_one_caption_is_its_own_mean() -> None:
    captions = np.array([[[3, 4]], [[-1, 0]]], dtype=np.float32)
    np.testing.assert_allclose(mean_caption(captions), captions[:, 0], rtol=1e-6)


def test_captions_without_a_length_or_that_cancel_stay_finite() -> None:
    captions = np.array([[[0, 0], [0, 0]], [[1, 0], [-1, 0]]], dtype=np.float32)
    assert np.isfinite(mean_caption(captions)).all()


def test_the_first_captions_of_the_images_most_alike_in_the_database() -> None:
    # 22 images on a quarter circle, the last of which is outside the database; of two captions
    # each. The 20 most like the photo, at angle 0, are all of the database but its last.
    angles = np.linspace(0, np.pi / 2, 21)
    image = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    image = np.concatenate([5 * image, [[9, 0]]]).astype(np.float32)
    caption = np.zeros((44, 3), dtype=np.float32)
    caption[0::2, 0] = 2  # the first captions of images
    caption[1::2, 1] = 7  # the others, which do not count
    caption[[40, 42]] = [0, 0, 100]  # the image at a right angle, and the one outside
    database = database_of(["train"] * 21 + ["test"], image, caption)
    photo = np.array([[0.5, 0]], dtype=np.float32)
    np.testing.assert_allclose(database.stand_in_captions(photo), [[2, 0, 0]], rtol=1e-6)


def at(angles: list[float]) -> FloatArray:
    """Image embeddings in these directions, of lengths that must not count; float32 [n, 2]."""
    lengths = 1 + np.arange(len(angles))[:, None] % 3
    return (np.stack([np.cos(angles), np.sin(angles)], axis=1) * lengths).astype(np.float32)


@pytest.mark.parametrize("val", ["val", "database_val"])
def test_a_photo_further_than_99_of_100_images_of_val(val: str) -> None:
    # 25 images of the database point to angle 0; the 101 of val lie at 0, 0.01, ... 1: one of them
    # is further than 0.99. What val itself has in the database (under hashnet) does not count.
    splits = ["train"] * 25 + [val] * 101
    image = at([0.0] * 25 + [i / 100 for i in range(101)])
    database = database_of(splits, image, np.ones((126, 3), dtype=np.float32))
    found = database.unlike_val(at([0.0, -0.985, 0.985, 0.995, -0.995, 3.0]))
    assert found.tolist() == [False, False, False, True, True, True]


def test_twenty_images_count_and_not_the_nearest_alone() -> None:
    # A twin of one image of the database is unlike all the others.
    splits = ["train"] * 26 + ["val"] * 101
    image = at([0.0] * 25 + [2.0] + [i / 100 for i in range(101)])
    database = database_of(splits, image, np.ones((127, 3), dtype=np.float32))
    assert database.unlike_val(at([2.0, 0.5])).tolist() == [True, False]
