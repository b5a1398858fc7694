"""The bounds of the codes: each row is what its function gives, by the search of the head."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from siglip2_multimodal_hash.arrays import Labels
from siglip2_multimodal_hash.baselines import untrained
from siglip2_multimodal_hash.baselines.exhaustive_search import search_vectors
from siglip2_multimodal_hash.baselines.linear_codes import fit_itq, fit_lsh, fit_pca_sign
from siglip2_multimodal_hash.baselines.untrained import (
    evaluate_untrained,
    float_embedding,
    sample_of,
    search_untrained,
    vote_of_codes,
)
from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.evaluation.heads import SplitRows, evaluate_by_search
from siglip2_multimodal_hash.evaluation.protocol import Figures, evaluate_retrieval
from siglip2_multimodal_hash.params import load_params
from siglip2_multimodal_hash.retrieval.codes import unit_vectors
from siglip2_multimodal_hash.retrieval.index import build_index
from siglip2_multimodal_hash.retrieval.search import search_cosine
from siglip2_multimodal_hash.retrieval.store import HeadCodes
from tests.evaluation.test_head_evaluation import BITS, COUNT, ROWS, knn_params, some_labels

ROOT = Path(__file__).resolve().parents[2]
KEPT = 12


def some_vectors(count: int = COUNT, seed: int = 8) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((count, 20)).astype(np.float32)


def search(
    folder: Path,
    labels: Labels,
    rows: SplitRows = ROWS,
    vectors: npt.NDArray[np.float32] | None = None,
    **changes: Any,
) -> Path:
    """What the search leaves, in a new folder."""
    settings: dict[str, Any] = {"bits": BITS, "seed": 3, "K": KEPT, "modality": "fused"}
    vectors = some_vectors(len(labels)) if vectors is None else vectors
    search_untrained(folder, vectors, labels, rows, **settings | changes)
    return folder


def of_test(figures: Figures) -> Figures:
    """Figures of a head without those that baselines leave out."""
    retrieval = {"test": figures["retrieval"]["test"]}
    return {"modality": "fused", **figures, "retrieval": retrieval}


def test_the_float_embedding_is_both_directions() -> None:
    images = np.array([[3.0, 4.0], [0.0, 2.0]], dtype=np.float32)
    captions = np.array([[0.0, 0.0, 5.0], [1.0, 0.0, 0.0]], dtype=np.float32)
    np.testing.assert_allclose(
        float_embedding(images, captions),
        [[0.6, 0.8, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0, 0.0]],
        atol=1e-7,
    )


def test_untrained_codes_are_fitted_on_train_and_searched_like_the_head(tmp_path: Path) -> None:
    labels, vectors = some_labels(), some_vectors()
    searched = search(tmp_path / "searched", labels)
    train = vectors[ROWS.train]
    fitted = {
        "lsh": fit_lsh(train, BITS, 3),
        "pca_sign": fit_pca_sign(train, BITS),
        "itq": fit_itq(train, BITS, 3),
    }
    # One search is enough for every vote.
    for knn in (knn_params(distance="hybrid"), knn_params(distance="hamming", K=KEPT)):
        figures = evaluate_untrained(searched, labels, ROWS, knn)
        assert set(figures) == {"float", "lsh", "pca_sign", "itq"}
        for name, linear in fitted.items():
            codes = HeadCodes(linear.soft_codes(vectors), linear.encode(vectors), None)
            assert figures[name] == of_test(evaluate_by_search(codes, labels, ROWS, knn))
            assert set(figures[name]) == {"modality", "knn", "retrieval", "codes"}
        # Whatever the head's distance, float vectors are searched by cosine.
        codes = HeadCodes(unit_vectors(vectors), None, None)
        by_cosine = knn.model_copy(update={"distance": "cosine"})
        assert figures["float"] == of_test(evaluate_by_search(codes, labels, ROWS, by_cosine))
        json.dumps(figures, allow_nan=False)


def test_neighbours_of_vectors_are_those_of_the_index_and_the_ranking_that_of_all() -> None:
    """With equal vectors, queries without a label, and val inside the database."""
    generator = np.random.default_rng(1)
    units = unit_vectors(generator.standard_normal((40, 8)))[generator.integers(0, 40, 300)]
    labels = (generator.random((300, 6)) < 0.2).astype(np.uint8)
    val, test, train = np.split(np.arange(300), [30, 70])
    labels[test[::5]] = 0
    rows = SplitRows(train[10:], val, test, np.union1d(val, train))
    found = search_vectors(units, labels, rows, 7)
    for split, queries in (("val", val), ("test", test)):
        database = rows.database_of(split)
        expected = search_cosine(build_index(units[database]), units[queries], 7)
        assert np.array_equal(found.neighbours[split].rows, expected.rows)
        assert np.array_equal(found.neighbours[split].similarities, expected.similarities)
    everything = evaluate_retrieval(
        units[test], units[rows.database], labels[test], labels[rows.database]
    )
    assert found.retrieval == {"test": everything.figures()}
    assert found.retrieval["test"]["queries_without_relevant"] >= 8
    few = search_vectors(units, labels, rows, 1000)
    assert few.neighbours["val"].rows.shape == (30, len(train))
    assert (np.sort(few.neighbours["val"].rows) == np.arange(len(train))).all()


def test_too_few_training_images_for_principal_components_leave_those_rows_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    few = dataclasses.replace(ROWS, train=ROWS.train[:BITS])
    searched = search(tmp_path / "few", some_labels(), few)
    assert set(evaluate_untrained(searched, some_labels(), few, knn_params())) == {"float", "lsh"}
    assert "16 training vectors of 20 dimensions have no 16 principal components" in caplog.text
    enough = dataclasses.replace(ROWS, train=ROWS.train[: BITS + 1])
    searched = search(tmp_path / "enough", some_labels(), enough)
    figures = evaluate_untrained(searched, some_labels(), enough, knn_params())
    assert set(figures) == {"float", "lsh", "pca_sign", "itq"}


def test_without_bits_only_the_float_vectors_are_compared(tmp_path: Path) -> None:
    searched = search(tmp_path / "searched", some_labels(), bits=0)
    knn = knn_params(distance="cosine")
    assert set(evaluate_untrained(searched, some_labels(), ROWS, knn)) == {"float"}


def test_product_codes_are_a_row_where_there_are_enough_training_images(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    labels = (np.random.default_rng(8).random((780, 4)) < 0.4).astype(np.uint8)
    number = np.arange(780) % 3
    train, val, test = (np.flatnonzero(number == split) for split in (1, 0, 2))
    rows = SplitRows(train, val, test, database=train)
    figures = evaluate_untrained(search(tmp_path / "all", labels, rows), labels, rows, knn_params())
    assert set(figures) == {"float", "lsh", "pca_sign", "itq", "pq"}
    assert set(figures["pq"]) == {"modality", "knn", "retrieval"}
    assert set(figures["pq"]["knn"]) == {"threshold", "val", "test"}
    assert caplog.text == ""
    few = dataclasses.replace(rows, train=train[:255])
    searched = search(tmp_path / "few", labels, few)
    assert "pq" not in evaluate_untrained(searched, labels, few, knn_params())
    assert "row pq is left out: 255 training vectors are fewer than 256 centroids" in caplog.text


def test_codes_are_fitted_to_a_sample_of_many_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sample_of(ROWS.train, seed=3) is ROWS.train
    monkeypatch.setattr(untrained, "SAMPLE", 18)
    sample = sample_of(ROWS.train, seed=3)
    assert len(set(sample.tolist())) == 18
    assert np.isin(sample, ROWS.train).all()
    assert (np.diff(sample) > 0).all()
    figures = evaluate_untrained(
        search(tmp_path / "searched", some_labels()), some_labels(), ROWS, knn_params()
    )
    linear = fit_itq(some_vectors()[sample], BITS, 3)
    codes = HeadCodes(linear.soft_codes(some_vectors()), linear.encode(some_vectors()), None)
    assert figures["itq"] == of_test(evaluate_by_search(codes, some_labels(), ROWS, knn_params()))


def test_more_neighbours_than_were_kept_are_refused(tmp_path: Path) -> None:
    searched = search(tmp_path / "searched", some_labels())
    with pytest.raises(DataError, match=r"12 neighbours are kept, knn\.K = 13\n.*search_untrained"):
        evaluate_untrained(searched, some_labels(), ROWS, knn_params(K=KEPT + 1))
    with pytest.raises(InputError, match=r"knn\.K = 1000"):
        evaluate_untrained(searched, some_labels(), ROWS, knn_params(K=1000))


def test_codes_vote_as_the_head_does_with_nothing_to_mix_in() -> None:
    params = load_params(ROOT / "params.yaml")
    found = vote_of_codes(params)
    assert found == params.knn.model_copy(update={"hybrid_weight": 1.0})
