"""The results of each test image come back as they were, and say which images they are of."""

from pathlib import Path

import numpy as np
import pytest

from siglip2_multimodal_hash.baselines.store import ClassifierResults
from siglip2_multimodal_hash.datasets.index import make_index
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.evaluation.heads import HeadEvaluation, SplitRows, evaluate_head
from siglip2_multimodal_hash.evaluation.items import (
    Items,
    read_classifier_results,
    read_item_results,
)
from siglip2_multimodal_hash.evaluation.store import write_evaluation
from siglip2_multimodal_hash.params import PREDICTORS, KnnParams
from siglip2_multimodal_hash.retrieval.index import build_index
from siglip2_multimodal_hash.retrieval.store import HeadCodes

KNN = KnnParams(
    K=1,
    distance="hamming",
    vote="uniform",
    tau=0.07,
    threshold=0.5,
    shortlist=1,
    hybrid_weight=0.5,
    top_n_tags=1,
)
# Images 10, 20, 30 of test, two of train, one of val; the codes say the class. Image 20 shows what
# nothing in train shows, image 30 shows both classes.
SPLITS = ("test", "test", "train", "test", "train", "val")
IDS = (10, 20, 25, 30, 35, 40)
LABELS = np.array(
    [[1, 0, 0], [0, 0, 1], [1, 0, 0], [1, 1, 0], [0, 1, 0], [1, 0, 0]], dtype=np.uint8
)
PACKED = np.array([[0], [255], [0], [1], [255], [0]], dtype=np.uint8)


def written(folder: Path) -> HeadEvaluation:
    dataset = make_index(
        {
            "image_id": IDS,
            "file_name": [f"{number}.jpg" for number in IDS],
            "split": SPLITS,
            **dict.fromkeys(("width", "height", "bytes"), [100] * len(IDS)),
        },
        [["a caption"]] * len(IDS),
        LABELS,
        (1, 2, 3),
        ("cat", "dog", "kite"),
    )
    soft = (2.0 * np.unpackbits(PACKED, axis=1) - 1).astype(np.float32)
    codes = HeadCodes(soft, PACKED, np.full(LABELS.shape, 0.5, dtype=np.float32))
    rows = SplitRows.of(dataset)
    index = build_index(codes.searchable()[rows.database])
    evaluation = evaluate_head(codes, index, LABELS, rows, KNN)
    write_evaluation(folder, evaluation, Items.of(dataset))
    return evaluation


def test_the_results_of_each_image(tmp_path: Path) -> None:
    evaluation = written(tmp_path / "evaluation")
    found = read_item_results((tmp_path / "evaluation").joinpath)
    assert found.items.image_ids.tolist() == [10, 20, 30]
    assert found.items.labels.tolist() == LABELS[[0, 1, 3]].tolist()
    assert found.items.categories == ("cat", "dog", "kite")
    # 10: the cat is nearest, AP 1. 20: no kite in train. 30: both are relevant, AP 1.
    np.testing.assert_array_equal(found.retrieval, [1, np.nan, 1])
    assert found.scores["knn"].tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 0]]
    assert found.thresholds["knn"] == evaluation.figures["knn"]["threshold"]["tuned"]
    means = evaluation.figures["retrieval"]["test"]["mAP@all"]
    assert np.nanmean(found.retrieval) == means


@pytest.mark.parametrize(
    "name",
    [
        *("categories.json", "figures.json"),
        *(f"test-{name}.npy" for name in ("image_ids", "labels", "retrieval", *PREDICTORS)),
    ],
)
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    written(tmp_path / "evaluation")
    (tmp_path / "evaluation" / name).unlink()
    with pytest.raises(DataError, match=name):
        read_item_results((tmp_path / "evaluation").joinpath)


@pytest.mark.parametrize("content", ["3", "null", "[]", '{"cat": 1}'])
def test_categories_of_another_form_are_refused(tmp_path: Path, content: str) -> None:
    written(tmp_path / "evaluation")
    (tmp_path / "evaluation/categories.json").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match="categories"):
        read_item_results((tmp_path / "evaluation").joinpath)


def test_files_of_two_evaluations_are_refused(tmp_path: Path) -> None:
    written(tmp_path / "evaluation")
    np.save(tmp_path / "evaluation/test-image_ids.npy", np.array([10, 20]))
    with pytest.raises(DataError, match=r"image ids of test: \(2,\), labels of test: \(3,\)"):
        read_item_results((tmp_path / "evaluation").joinpath)


def test_the_results_of_a_classifier_stand_for_every_predictor(tmp_path: Path) -> None:
    items = Items(np.array([10, 20]), np.array([[1, 0], [0, 1]], np.uint8), ("cat", "dog"))
    scores = np.array([[0.75, 0.5], [0.25, 0.5]], np.float32)
    figures = {"mlp": {"threshold": {"tuned": 0.375}}}
    ClassifierResults(figures, {"mlp": scores, "other": scores}).write(tmp_path / "classifiers")
    folder = tmp_path / "classifiers"
    found = read_classifier_results(items, "mlp", folder.joinpath)
    assert found.items is items
    assert found.thresholds == dict.fromkeys(PREDICTORS, 0.375)
    for name in PREDICTORS:
        np.testing.assert_array_equal(found.scores[name], scores)
    assert np.isnan(found.retrieval).all()
    with pytest.raises(DataError, match=r"figures\.json: not what"):
        read_classifier_results(items, "other", folder.joinpath)
    np.save(folder / "test-mlp.npy", scores[:1])
    with pytest.raises(DataError, match="scores of mlp"):
        read_classifier_results(items, "mlp", folder.joinpath)
    (folder / "test-mlp.npy").unlink()
    with pytest.raises(DataError, match=r"test-mlp\.npy: no such file"):
        read_classifier_results(items, "mlp", folder.joinpath)
