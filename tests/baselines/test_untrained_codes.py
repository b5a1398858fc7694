"""The bounds of the codes: each row is what its function gives, by the search of the head."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from siglip2_multimodal_hash.baselines.linear_codes import fit_itq, fit_lsh, fit_pca_sign
from siglip2_multimodal_hash.baselines.product_codes import evaluate_product_codes
from siglip2_multimodal_hash.baselines.untrained import (
    evaluate_untrained,
    float_embedding,
    vote_of_codes,
)
from siglip2_multimodal_hash.evaluation.heads import SplitRows, evaluate_by_search
from siglip2_multimodal_hash.params import load_params
from siglip2_multimodal_hash.retrieval.codes import unit_vectors
from siglip2_multimodal_hash.retrieval.store import HeadCodes
from tests.evaluation.test_head_evaluation import BITS, COUNT, ROWS, knn_params, some_labels

ROOT = Path(__file__).resolve().parents[2]


def test_the_float_embedding_is_both_directions() -> None:
    images = np.array([[3.0, 4.0], [0.0, 2.0]], dtype=np.float32)
    captions = np.array([[0.0, 0.0, 5.0], [1.0, 0.0, 0.0]], dtype=np.float32)
    np.testing.assert_allclose(
        float_embedding(images, captions),
        [[0.6, 0.8, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0, 0.0]],
        atol=1e-7,
    )


def test_untrained_codes_are_fitted_on_train_and_searched_like_the_head() -> None:
    labels, knn = some_labels(), knn_params(distance="hybrid")
    vectors = np.random.default_rng(8).standard_normal((COUNT, 20)).astype(np.float32)
    figures = evaluate_untrained(vectors, labels, ROWS, knn, bits=BITS, seed=3)
    assert set(figures) == {"float", "lsh", "pca_sign", "itq"}
    train = vectors[ROWS.train]
    fitted = {
        "lsh": fit_lsh(train, BITS, 3),
        "pca_sign": fit_pca_sign(train, BITS),
        "itq": fit_itq(train, BITS, 3),
    }
    for name, linear in fitted.items():
        codes = HeadCodes(linear.soft_codes(vectors), linear.encode(vectors), None)
        assert figures[name] == evaluate_by_search(codes, labels, ROWS, knn)
        assert set(figures[name]) == {"knn", "retrieval", "codes"}
    # Whatever the head's distance, float vectors are searched by cosine.
    by_cosine = knn_params(distance="cosine")
    expected = evaluate_by_search(
        HeadCodes(unit_vectors(vectors), None, None), labels, ROWS, by_cosine
    )
    assert figures["float"] == expected
    json.dumps(figures, allow_nan=False)


def test_too_few_training_images_for_principal_components_leave_those_rows_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    vectors = np.random.default_rng(8).standard_normal((COUNT, 20)).astype(np.float32)
    few = dataclasses.replace(ROWS, train=ROWS.train[:BITS])
    figures = evaluate_untrained(vectors, some_labels(), few, knn_params(), bits=BITS, seed=3)
    assert set(figures) == {"float", "lsh"}
    assert "16 training vectors of 20 dimensions have no 16 principal components" in caplog.text
    enough = dataclasses.replace(ROWS, train=ROWS.train[: BITS + 1])
    figures = evaluate_untrained(vectors, some_labels(), enough, knn_params(), bits=BITS, seed=3)
    assert set(figures) == {"float", "lsh", "pca_sign", "itq"}


def test_without_bits_only_the_float_vectors_are_compared() -> None:
    vectors = np.random.default_rng(8).standard_normal((COUNT, 20)).astype(np.float32)
    knn = knn_params(distance="cosine")
    figures = evaluate_untrained(vectors, some_labels(), ROWS, knn, bits=0, seed=3)
    assert set(figures) == {"float"}


def test_product_codes_are_a_row_where_there_are_enough_training_images(
    caplog: pytest.LogCaptureFixture,
) -> None:
    generator = np.random.default_rng(8)
    vectors = generator.standard_normal((780, 20)).astype(np.float32)
    labels = (generator.random((780, 4)) < 0.4).astype(np.uint8)
    number = np.arange(780) % 3
    train, val, test = (np.flatnonzero(number == split) for split in (1, 0, 2))
    rows = SplitRows(train, val, test, database=train)
    figures = evaluate_untrained(vectors, labels, rows, knn_params(), bits=BITS, seed=3)
    assert list(figures) == ["float", "lsh", "pca_sign", "itq", "pq"]
    expected = evaluate_product_codes(vectors, labels, rows, knn_params(), bits=BITS, seed=3)
    assert figures["pq"] == expected
    assert caplog.text == ""
    few = dataclasses.replace(rows, train=train[:255])
    figures = evaluate_untrained(vectors, labels, few, knn_params(), bits=BITS, seed=3)
    assert list(figures) == ["float", "lsh", "pca_sign", "itq"]
    assert "row pq is left out: 255 training vectors are fewer than 256 centroids" in caplog.text


def test_codes_vote_as_the_head_does_with_nothing_to_mix_in() -> None:
    params = load_params(ROOT / "params.yaml")
    found = vote_of_codes(params)
    assert found == params.knn.model_copy(update={"hybrid_weight": 1.0})
