"""The sigmoid loss against its plain formula, and which pairs count as positive."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from models.pretrain.loss import (
    positive_pairs,
    sigmoid_loss,
    text_code,
)

Array = npt.NDArray[Any]

IMAGES = np.array([[3.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
TEXTS = np.array([[1.0, 0.0], [0.0, -1.0], [2.0, 2.0]])


def plain_loss(
    images: Array, texts: Array, log_scale: float, bias: float, positives: Array
) -> float:
    """The formula of the paper, pair by pair."""
    total = 0.0
    for i, image in enumerate(images):
        for j, text in enumerate(texts):
            cosine = image @ text / np.linalg.norm(image) / np.linalg.norm(text)
            z = np.exp(log_scale) * cosine + bias
            total += np.log1p(np.exp(-z if positives[i, j] else z))
    return total / len(texts)


def test_loss_is_the_plain_formula() -> None:
    positives = np.eye(3, dtype=bool)
    loss = sigmoid_loss(
        torch.tensor(IMAGES),
        torch.tensor(TEXTS),
        torch.tensor([np.log(10.0)]),
        torch.tensor([-10.0]),
        torch.tensor(positives),
    )
    expected = plain_loss(IMAGES, TEXTS, np.log(10.0), -10.0, positives)
    assert loss.item() == np.float32(expected)
    # By hand: of the three right pairs the cosines are 1, -1 and 1, so z is 0, -20 and 0; of the
    # six wrong ones they are 0, 0, r, r, r and -r with r = sqrt(1/2), so z is near -10 or -2.93.
    r = np.sqrt(0.5)
    wrong = sum(np.log1p(np.exp(10 * cosine - 10)) for cosine in (0, 0, r, r, r, -r))
    np.testing.assert_allclose(loss.item(), (2 * np.log(2) + 20 + wrong) / 3, rtol=1e-6)


def test_several_texts_an_image_average_over_the_texts() -> None:
    positives = np.hstack([np.eye(3, dtype=bool)] * 2)
    texts = np.vstack([TEXTS, TEXTS[::-1]])
    loss = sigmoid_loss(
        torch.tensor(IMAGES),
        torch.tensor(texts),
        torch.tensor([0.3]),
        torch.tensor([-1.0]),
        torch.tensor(positives),
    )
    np.testing.assert_allclose(
        loss.item(), plain_loss(IMAGES, texts, 0.3, -1.0, positives), rtol=1e-6
    )


def test_equal_texts_are_positives_everywhere() -> None:
    texts = [("a dog", "grass"), ("a cat", "a dog"), ("a bus", "a road")]
    codes = torch.tensor([[text_code(text) for text in row] for row in texts])
    # Columns: "a dog", "a cat", "a bus", then "grass", "a dog", "a road".
    assert positive_pairs(codes).tolist() == [
        [True, False, False, True, True, False],
        [True, True, False, False, True, False],
        [False, False, True, False, False, True],
    ]


def test_codes_fit_and_differ() -> None:
    codes = {text_code(f"text {number}") for number in range(1000)}
    assert len(codes) == 1000
    assert all(0 <= code < 2**63 for code in codes)
