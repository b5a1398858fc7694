"""Classifiers without a code: their scores, and the figures of them."""

import numpy as np
import pytest

from siglip2_multimodal_hash.baselines.classifiers import (
    evaluate_classifiers,
    evaluate_zero_shot,
    zero_shot_scores,
)
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.evaluation.protocol import evaluate_predictions
from tests.evaluation.test_head_evaluation import (
    CLASSES,
    COUNT,
    ROWS,
    evaluated,
    knn_params,
    some_codes,
    some_labels,
)


def test_zero_shot_scores_by_hand() -> None:
    images = np.array([[2.0, 0.0], [0.0, 0.0]], dtype=np.float32)
    prompts = np.array([[1.0, 0.0], [0.0, 3.0], [-5.0, 0.0], [1.0, 1.0]], dtype=np.float32)
    scores = zero_shot_scores(images, prompts)
    assert scores.dtype == np.float32
    assert np.allclose(scores, [[1, 0.5, 0, (1 + np.sqrt(0.5)) / 2], [0.5] * 4])


def test_zero_shot_refuses_towers_of_two_widths() -> None:
    with pytest.raises(DataError, match="dimensions of the image embeddings: 3, of the prompt"):
        zero_shot_scores(np.ones((1, 3), np.float32), np.ones((2, 4), np.float32))


def test_zero_shot_is_the_cosine_of_image_and_prompt() -> None:
    generator, labels = np.random.default_rng(7), some_labels()
    images = generator.standard_normal((COUNT, 8)).astype(np.float32) * 30
    prompts = generator.standard_normal((CLASSES, 8)).astype(np.float32)
    lengths = np.outer(np.linalg.norm(images, axis=1), np.linalg.norm(prompts, axis=1))
    scores = ((1 + images.astype(float) @ prompts.T / lengths) / 2).astype(np.float32)
    results = evaluate_zero_shot(images, prompts, labels, ROWS, top_n_tags=2)
    np.testing.assert_allclose(results.scores["zero_shot"], scores[ROWS.test], rtol=1e-6)
    found = results.figures["zero_shot"]
    expected = evaluate_predictions(
        scores[ROWS.val], labels[ROWS.val], scores[ROWS.test], labels[ROWS.test], top_n_tags=2
    )
    assert found["test"]["mAP"] == pytest.approx(expected["test"]["mAP"])
    assert found["val"]["lrap"] == pytest.approx(expected["val"]["lrap"])
    assert "fixed" not in found["threshold"]


def test_a_lone_classifier_has_both_thresholds() -> None:
    codes, labels = some_codes(), some_labels()
    assert codes.scores is not None
    results = evaluate_classifiers({"plain": codes.scores}, labels, ROWS, "caption", top_n_tags=2)
    np.testing.assert_array_equal(results.scores["plain"], codes.scores[ROWS.test])
    found = results.figures["plain"]
    assert found.pop("modality") == "caption"
    assert found == evaluated(codes, knn_params()).figures["mlp"]
    assert found["threshold"]["fixed"] == 0.5


@pytest.mark.parametrize(("image", "prompt"), [(0, 8), (8, 0)])
def test_zero_shot_without_images_or_prompts_is_left_out(
    image: int, prompt: int, caplog: pytest.LogCaptureFixture
) -> None:
    images, prompts = np.ones((COUNT, image), np.float32), np.ones((CLASSES, prompt), np.float32)
    with caplog.at_level("INFO"):
        assert evaluate_zero_shot(images, prompts, some_labels(), ROWS, top_n_tags=2).figures == {}
    assert "zero_shot: left out, because the features are without" in caplog.text


def test_zero_shot_looks_at_images_alone() -> None:
    images, prompts = np.eye(COUNT, 8, dtype=np.float32), np.eye(CLASSES, 8, dtype=np.float32)
    results = evaluate_zero_shot(images, prompts, some_labels(), ROWS, top_n_tags=2)
    assert results.figures["zero_shot"]["modality"] == "image"
