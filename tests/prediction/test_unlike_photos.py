"""Which photos are unlike a dataset, in angles that a person can check."""

import numpy as np
import pytest

from tests.prediction.small_database import database_of


def at(angles: list[float]):
    """Image embeddings in these directions, of lengths that must not count; float32 [n, 2]."""
    lengths = 1 + np.arange(len(angles))[:, None] % 3
    return (np.stack([np.cos(angles), np.sin(angles)], axis=1) * lengths).astype(np.float32)


@pytest.mark.parametrize("val", ["val", "database_val"])
def test_a_photo_further_than_99_of_100_images_of_val(val):
    # 25 images of the database point to angle 0; the 101 of val lie at 0, 0.01, ... 1: one of them
    # is further than 0.99. What val itself has in the database (under hashnet) does not count.
    splits = ["train"] * 25 + [val] * 101
    image = at([0.0] * 25 + [i / 100 for i in range(101)])
    database = database_of(splits, image, np.ones((126, 3), dtype=np.float32))
    found = database.unlike_val(at([0.0, -0.985, 0.985, 0.995, -0.995, 3.0]))
    assert found.tolist() == [False, False, False, True, True, True]


def test_twenty_images_count_and_not_the_nearest_alone():
    # A twin of one image of the database is unlike all the others.
    splits = ["train"] * 26 + ["val"] * 101
    image = at([0.0] * 25 + [2.0] + [i / 100 for i in range(101)])
    database = database_of(splits, image, np.ones((127, 3), dtype=np.float32))
    assert database.unlike_val(at([2.0, 0.5])).tolist() == [True, False]
