"""The figures of a head are those of the functions they name."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from siglip2_multimodal_hash.datasets.index import make_index
from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.evaluation.code_quality import code_quality
from siglip2_multimodal_hash.evaluation.heads import (
    HeadEvaluation,
    Predictions,
    SplitRows,
    evaluate_head,
    predict,
)
from siglip2_multimodal_hash.evaluation.protocol import evaluate_predictions, evaluate_retrieval
from siglip2_multimodal_hash.evaluation.store import read_evaluation, write_evaluation
from siglip2_multimodal_hash.params import Hnsw, Ivf, KnnParams, Multihash
from siglip2_multimodal_hash.retrieval.codes import unit_vectors
from siglip2_multimodal_hash.retrieval.index import build_index
from siglip2_multimodal_hash.retrieval.index_kinds import Kind
from siglip2_multimodal_hash.retrieval.store import HeadCodes

COUNT, CLASSES, BITS = 60, 4, 16
# Splits interleaved, so that a row of the database is not the same row of the dataset.
ROWS = SplitRows(
    train=np.flatnonzero(np.arange(COUNT) % 3 == 1),
    val=np.flatnonzero(np.arange(COUNT) % 3 == 0),
    test=np.flatnonzero(np.arange(COUNT) % 3 == 2),
    database=np.flatnonzero(np.arange(COUNT) % 3 == 1),
)


def knn_params(**changes: Any) -> KnnParams:
    plan = {
        "K": 4,
        "distance": "hamming",
        "vote": "softmax",
        "tau": 0.07,
        "threshold": 0.5,
        "shortlist": 10,
        "hybrid_weight": 0.25,
        "top_n_tags": 2,
    }
    return KnnParams.model_validate(plan | changes)


def some_labels() -> npt.NDArray[np.uint8]:
    labels = (np.random.default_rng(5).random((COUNT, CLASSES)) < 0.35).astype(np.uint8)
    labels[:3] = 1  # every class has a positive in every split
    return labels


def some_codes(*, bits: int = BITS, scores: bool = True) -> HeadCodes:
    """Codes and scores that know something of the labels."""
    generator = np.random.default_rng(6)
    labels = some_labels().astype(np.float64)
    signal = (2 * labels - 1) @ generator.standard_normal((CLASSES, bits or BITS))
    soft = np.tanh(0.3 * signal + 0.5 * generator.standard_normal(signal.shape)).astype(np.float32)
    noisy = (0.5 * labels + 0.5 * generator.random(labels.shape)).astype(np.float32)
    packed = np.packbits(soft > 0, axis=1) if bits else None
    return HeadCodes(soft if bits else unit_vectors(soft), packed, noisy if scores else None)


def evaluated(codes: HeadCodes, knn: KnnParams) -> HeadEvaluation:
    index = build_index(codes.searchable()[ROWS.train])
    return evaluate_head(codes, index, some_labels(), ROWS, knn)


def test_codes_that_say_the_class_are_perfect() -> None:
    """Three classes with codes 16 bits apart: each query's neighbours are of its own class."""
    patterns = np.array([[255, 255, 0, 0], [0, 0, 255, 255], [255, 0, 255, 0]], dtype=np.uint8)
    number = np.arange(COUNT) // 3 % 3
    labels = np.eye(3, dtype=np.uint8)[number]
    packed = patterns[number]
    soft = (2.0 * np.unpackbits(packed, axis=1) - 1).astype(np.float32)
    codes = HeadCodes(soft, packed, labels.astype(np.float32))
    index = build_index(packed[ROWS.train])
    figures = evaluate_head(codes, index, labels, ROWS, knn_params()).figures
    for name in ("knn", "mlp", "hybrid"):
        assert figures[name]["val"]["mAP"] == figures[name]["test"]["mAP"] == 1
    assert figures["retrieval"]["test"]["mAP@all"] == 1
    assert figures["codes"]["distinct_share"] == 3 / len(ROWS.train)
    assert figures["codes"]["quantisation_error"] == 0


def test_neighbours_are_rows_of_the_database() -> None:
    codes, labels = some_codes(), some_labels()
    assert codes.packed is not None
    bits = np.unpackbits(codes.packed, axis=1).astype(int)
    index = build_index(codes.packed[ROWS.train])
    found = predict(codes, index, labels, ROWS.train, ROWS.test, knn_params(vote="uniform"))
    for position, query in enumerate(ROWS.test):
        distances = np.abs(bits[ROWS.train] - bits[query]).sum(axis=1)
        nearest = np.lexsort((np.arange(len(distances)), distances))[:4]
        assert np.array_equal(found.neighbours.rows[position], nearest)
        voted = labels[ROWS.train][nearest].mean(axis=0)
        np.testing.assert_allclose(found.scores["knn"][position], voted, atol=1e-7)
        assert codes.scores is not None
        mixed = 0.25 * voted + 0.75 * codes.scores[query]
        np.testing.assert_allclose(found.scores["hybrid"][position], mixed, atol=1e-6)
    assert codes.scores is not None
    assert np.array_equal(found.scores["mlp"], codes.scores[ROWS.test])


@pytest.mark.parametrize("distance", ["hamming", "cosine", "hybrid", "asymmetric", "whitened"])
def test_figures_are_those_of_direct_calls(distance: str) -> None:
    codes, labels, knn = some_codes(), some_labels(), knn_params(distance=distance)
    result = evaluated(codes, knn)
    assert codes.packed is not None
    index = build_index(codes.packed[ROWS.train])
    val, test = (
        predict(codes, index, labels, ROWS.train, rows, knn).scores
        for rows in (ROWS.val, ROWS.test)
    )
    for name in ("knn", "mlp", "hybrid"):
        assert result.figures[name] == evaluate_predictions(
            val[name],
            labels[ROWS.val],
            test[name],
            labels[ROWS.test],
            top_n_tags=2,
            fixed_threshold=0.5 if name == "mlp" else None,
        )
    direct = evaluate_retrieval(
        codes.packed[ROWS.test], codes.packed[ROWS.train], labels[ROWS.test], labels[ROWS.train]
    )
    assert result.figures["retrieval"]["test"] == direct.figures()
    assert np.array_equal(result.curves["test"].precision, direct.curve.precision)
    assert result.figures["codes"] == code_quality(codes.packed[ROWS.train], codes.soft[ROWS.train])
    assert set(result.figures) == {"knn", "mlp", "hybrid", "retrieval", "codes"}


def test_the_database_is_train_whatever_the_other_rows_hold() -> None:
    """Codes and labels of test change nothing that val shows."""
    codes, labels = some_codes(), some_labels()
    assert codes.packed is not None
    before = evaluated(codes, knn_params()).figures
    codes.packed[ROWS.test] = 0
    labels[ROWS.test] = 1
    index = build_index(codes.packed[ROWS.train])
    after = evaluate_head(codes, index, labels, ROWS, knn_params()).figures
    assert after["knn"]["val"] == before["knn"]["val"]
    assert after["retrieval"]["val"] == before["retrieval"]["val"]
    assert after["codes"] == before["codes"]


def test_without_bits_the_vectors_are_searched_and_there_are_no_code_figures() -> None:
    codes = some_codes(bits=0)
    result = evaluated(codes, knn_params(distance="cosine"))
    assert "codes" not in result.figures
    labels = some_labels()
    direct = evaluate_retrieval(
        codes.soft[ROWS.val], codes.soft[ROWS.train], labels[ROWS.val], labels[ROWS.train]
    )
    assert result.figures["retrieval"]["val"] == direct.figures()
    cosines = codes.soft[ROWS.val].astype(float) @ codes.soft[ROWS.train].T
    assert np.array_equal(result.predictions["val"].neighbours.rows[:, 0], cosines.argmax(axis=1))
    with pytest.raises(InputError, match=r"knn\.distance = hamming"):
        evaluated(codes, knn_params())


def test_without_a_classifier_there_is_one_predictor() -> None:
    result = evaluated(some_codes(scores=False), knn_params())
    assert set(result.figures) == {"knn", "retrieval", "codes"}
    assert set(result.predictions["test"].scores) == {"knn"}


def test_splits_are_those_of_the_dataset() -> None:
    splits = ["train", "test", "restval", "val", "test"]
    columns = {
        "image_id": range(5),
        "file_name": ["a"] * 5,
        "split": splits,
        **dict.fromkeys(("width", "height", "bytes"), [1] * 5),
    }
    dataset = make_index(columns, [["a"]] * 5, np.ones((5, 1), np.uint8), (1,), ("dog",))
    rows = SplitRows.of(dataset)
    assert (rows.train.tolist(), rows.val.tolist(), rows.test.tolist()) == ([0, 2], [3], [1, 4])
    assert rows.queries("val") is rows.val
    assert rows.queries("test") is rows.test
    assert rows.database_of("val").tolist() == rows.database_of("test").tolist() == [0, 2]


def test_val_is_in_the_database_of_test_and_not_in_its_own() -> None:
    both = np.union1d(ROWS.train, ROWS.val)
    rows = SplitRows(train=ROWS.train[::2], val=ROWS.val, test=ROWS.test, database=both)
    assert np.array_equal(rows.database_of("val"), ROWS.train)
    assert np.array_equal(rows.database_of("test"), both)
    codes, labels, knn = some_codes(), some_labels(), knn_params()
    found = evaluate_head(codes, build_index(codes.searchable()[both]), labels, rows, knn)
    # val is searched in what ROWS calls the database, test in val too
    apart = evaluated(codes, knn)
    assert found.figures["retrieval"]["val"] == apart.figures["retrieval"]["val"]
    assert found.figures["knn"]["val"] == apart.figures["knn"]["val"]
    assert codes.packed is not None
    expected = evaluate_retrieval(
        codes.packed[rows.test], codes.packed[both], labels[rows.test], labels[both]
    ).figures()
    assert found.figures["retrieval"]["test"] == expected
    assert found.figures["codes"] == code_quality(codes.packed[both], codes.soft[both])


@pytest.mark.parametrize(
    ("kind", "bits"),
    [
        (Ivf(nlist=5, nprobe=1), BITS),
        (Ivf(nlist=5, nprobe=1), 0),
        (Hnsw(M=4, ef_construction=80, ef_search=64), BITS),
        (Hnsw(M=4, ef_construction=80, ef_search=64), 0),
        (Multihash(nhash=4, b=0, nflip=0), BITS),
    ],
)
def test_val_and_test_are_searched_by_the_same_kind_of_index(kind: Kind, bits: int) -> None:
    """val's index is built anew where the database differs: with the kind and its parameters."""
    both = np.union1d(ROWS.train, ROWS.val)
    rows = SplitRows(train=ROWS.train, val=ROWS.val, test=ROWS.test, database=both)
    codes, labels = some_codes(bits=bits), some_labels()
    knn = knn_params(K=8, distance="hamming" if bits else "cosine")
    items = codes.searchable()
    found = evaluate_head(codes, build_index(items[both], kind), labels, rows, knn).predictions
    for split, database in (("val", ROWS.train), ("test", both)):
        index = build_index(items[database], kind)
        expected = predict(codes, index, labels, database, rows.queries(split), knn)
        assert np.array_equal(found[split].neighbours.rows, expected.neighbours.rows)
        assert np.array_equal(found[split].scores["knn"], expected.scores["knn"])
        exact = predict(codes, build_index(items[database]), labels, database, ROWS.val, knn)
        assert (exact.neighbours.rows >= 0).all()
        if not isinstance(kind, Hnsw):
            assert (found[split].neighbours.rows == -1).any()


def test_figures_of_retrieval_do_not_depend_on_the_kind() -> None:
    codes, labels = some_codes(), some_labels()
    index = build_index(codes.searchable()[ROWS.train], Ivf(nlist=5, nprobe=1))
    found = evaluate_head(codes, index, labels, ROWS, knn_params(K=8))
    assert found.figures["retrieval"] == evaluated(codes, knn_params()).figures["retrieval"]


# Files


def test_an_evaluation_comes_back_as_it_was(tmp_path: Path) -> None:
    result = evaluated(some_codes(), knn_params())
    write_evaluation(tmp_path / "evaluation", result)
    stored = read_evaluation(tmp_path / "evaluation")
    assert stored.figures == result.figures
    for split in ("val", "test"):
        one, other = stored.predictions[split], result.predictions[split]
        assert np.array_equal(one.neighbours.rows, other.neighbours.rows)
        assert np.array_equal(one.neighbours.similarities, other.neighbours.similarities)
        assert set(one.scores) == {"knn", "mlp", "hybrid"}
        for name, scores in one.scores.items():
            assert scores.dtype == np.float32
            assert np.array_equal(scores, other.scores[name])
        assert stored.curves[split]["recall"] == result.curves[split].recall.tolist()
        assert stored.curves[split]["distance"] == result.curves[split].distances.tolist()


def test_equal_evaluations_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_evaluation(tmp_path / name, evaluated(some_codes(), knn_params()))
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "two").iterdir())
    assert len(files) == 2 + 2 * 6
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_an_evaluation_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    result = evaluated(some_codes(), knn_params())
    objects = np.array([None], dtype=object)
    bad = Predictions(result.predictions["test"].neighbours, {"knn": objects})
    broken = HeadEvaluation(result.figures, {"val": bad}, result.curves, result.query_precisions)
    with pytest.raises(ValueError, match="allow_pickle"):
        write_evaluation(tmp_path / "evaluation", broken)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["figures.json", "curves.json", "test-mlp.npy", "val-knn.npy"])
def test_a_missing_or_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "evaluation"
    write_evaluation(folder, evaluated(some_codes(), knn_params()))
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=name):
        read_evaluation(folder)
    (folder / name).unlink()
    with pytest.raises(DataError, match=f"{name}: no such file"):
        read_evaluation(folder)


@pytest.mark.parametrize("name", ["figures.json", "curves.json"])
@pytest.mark.parametrize("content", ["[]", "null", "3", '{"test": []}'])
def test_a_file_of_another_form_is_named(tmp_path: Path, name: str, content: str) -> None:
    folder = tmp_path / "evaluation"
    write_evaluation(folder, evaluated(some_codes(), knn_params()))
    (folder / name).write_text(content)
    with pytest.raises(DataError, match=rf"{name}: not what(.|\n)*dvc repro evaluate_knn"):
        read_evaluation(folder)
