"""What stands in for a missing caption, in numbers that a person can check."""

import numpy as np

from siglip2_multimodal_hash.prediction.database import mean_caption
from tests.prediction.small_database import database_of


def test_the_mean_direction_at_the_mean_log_length():
    # Directions (1, 0) and (0, 1), lengths 2 and 8: the geometric mean is 4.
    captions = np.array([[[2, 0], [0, 8]]], dtype=np.float32)
    np.testing.assert_allclose(mean_caption(captions), [[4 / 2**0.5, 4 / 2**0.5]], rtol=1e-6)


def test_one_caption_is_its_own_mean():
    captions = np.array([[[3, 4]], [[-1, 0]]], dtype=np.float32)
    np.testing.assert_allclose(mean_caption(captions), captions[:, 0], rtol=1e-6)


def test_captions_without_a_length_or_that_cancel_stay_finite():
    captions = np.array([[[0, 0], [0, 0]], [[1, 0], [-1, 0]]], dtype=np.float32)
    assert np.isfinite(mean_caption(captions)).all()


def test_the_first_captions_of_the_images_most_alike_in_the_database():
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
