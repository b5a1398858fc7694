"""Class prompts: articles, the ensemble's formula, and tokenizers that do not fit."""

from collections.abc import Sequence

import numpy as np
import pytest

from siglip2_multimodal_hash.arrays import Vectors
from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.features.prompts import encode_prompts, fill_template


@pytest.mark.parametrize(
    ("template", "name", "text"),
    [
        ("a photo of a {}.", "airplane", "a photo of an airplane."),
        ("a photo of a {}.", "cat", "a photo of a cat."),
        ("a photo of a {}.", "hot dog", "a photo of a hot dog."),
        ("A {} in the wild", "Umbrella", "An Umbrella in the wild"),
        ("a picture with a {} in it.", "orange", "a picture with an orange in it."),
        ("{}", "oven", "oven"),
        ("the {}", "apple", "the apple"),
        ("a big {}", "elephant", "a big elephant"),
        ("panda {}", "oven", "panda oven"),  # the letter a at the end of a word is no article
    ],
)
def test_fill_template(template: str, name: str, text: str) -> None:
    assert fill_template(template, name) == text


def test_ensemble_is_the_mean_of_unit_vectors() -> None:
    vectors = {
        "a cat": [3.0, 4.0],
        "cat!": [0.0, 10.0],
        "a dog": [-2.0, 0.0],
        "dog!": [6.0, 8.0],
    }

    def encode(texts: Sequence[str]) -> Vectors:
        return np.array([vectors[text] for text in texts], dtype=np.float32)

    prompts = encode_prompts(encode, ["cat", "dog"], ["a {}", "{}!"])
    # cat: ((0.6, 0.8) + (0, 1)) / 2; dog: ((-1, 0) + (0.6, 0.8)) / 2.
    np.testing.assert_allclose(prompts, [[0.3, 0.9], [-0.2, 0.4]], atol=1e-7)
    assert prompts.dtype == np.float32


def test_classes_that_the_tokenizer_confuses_are_refused() -> None:
    with pytest.raises(InputError, match=r"'cat' and 'dog'.*same tokens"):
        encode_prompts(lambda texts: np.ones((len(texts), 2), np.float32), ["cat", "dog"], ["{}"])


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_vectors_without_direction_are_refused(value: float) -> None:
    with pytest.raises(DataError, match=r"prompt\.npy.*'a \{\}'"):
        encode_prompts(
            lambda texts: np.full((len(texts), 2), value, np.float32), ["cat", "dog"], ["a {}"]
        )
