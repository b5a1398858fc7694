"""The CSV files behind the plots: their columns are what dvc.yaml names, their rows are right."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML
from sklearn.metrics import average_precision_score, precision_score, recall_score

from siglip2_multimodal_hash.evaluation.code_quality import bit_entropies, bit_means
from siglip2_multimodal_hash.reporting.plots import (
    class_average_precisions,
    co_occurrences,
    code_bits,
    label_counts,
    label_shifts,
    word_quantiles,
    write_plots,
    write_rows,
    write_training,
)
from tests.reporting.conftest import Example

ROOT = Path(__file__).resolve().parents[2]
ReadCsv = Callable[[Path], list[list[str]]]


def written(folder: Path, example: Example) -> Path:
    write_plots(
        folder,
        dataset=example.dataset,
        statistics=example.statistics,
        codes=example.codes,
        evaluation=example.evaluation,
        history=example.history,
        errors=example.errors,
        baselines={"chance": {"knn": 0.25}, "fused": {"knn": 2 / 3, "retrieval": 0.5}},
    )
    return folder


@pytest.fixture(scope="module")
def plots(tmp_path_factory: pytest.TempPathFactory, example: Example) -> Path:
    return written(tmp_path_factory.mktemp("plots") / "made" / "anew", example)


def test_the_table_of_methods(plots: Path, read_csv: ReadCsv) -> None:
    assert read_csv(plots / "baselines.csv") == [
        ["row", "knn", "mlp", "hybrid", "zero_shot", "retrieval"],
        ["fused", "0.666667", "", "", "", "0.5"],
        ["chance", "0.25", "", "", "", ""],
    ]


def test_every_file_and_column_that_dvc_draws_is_there(plots: Path, read_csv: ReadCsv) -> None:
    drawn = YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    checked = 0
    # knn_by_neighbours.csv comes from the grid, see test_knn_grid_tables.py.
    for plot in drawn["plots"]:
        if "mAP by neighbours that vote" in plot:
            continue
        if isinstance(plot, str):
            assert plot.endswith("overview.png")
            continue
        (settings,) = plot.values()
        for file, columns in settings["y"].items():
            header = read_csv(plots / Path(file).name)[0]
            columns_of_y = {columns} if isinstance(columns, str) else set(columns)
            assert {settings["x"]} | columns_of_y <= set(header), file
            checked += 1
    assert checked >= 8


def test_equal_data_give_equal_bytes(tmp_path: Path, plots: Path, example: Example) -> None:
    again = written(tmp_path, example)
    assert len(list(plots.iterdir())) == 18
    for path in plots.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes()


def test_losses_are_in_a_file_a_split(plots: Path, read_csv: ReadCsv) -> None:
    assert read_csv(plots / "training_train.csv") == [
        ["epoch", "total", "bce"],
        ["1", "2.5", "2"],
        ["2", "1.5", "1.25"],
        ["3", "1", "0.75"],
    ]
    # The first epoch was not validated.
    assert read_csv(plots / "training_val.csv") == [
        ["epoch", "total", "bce", "mAP", "bit_entropy"],
        ["0", "2", "1.75", "0.375", "1"],
        ["2", "1.75", "1.5", "0.5", "0.75"],
        ["3", "1.7", "1.4", "0.625", "0.875"],
    ]


def test_losses_of_epochs_that_were_all_validated(tmp_path: Path, read_csv: ReadCsv) -> None:
    history = [{"epoch": 1, "lr": 1.0, "train_total": 0.1234567, "val_total": 1e-9, "val_mAP": 1.0}]
    write_training(tmp_path, history)
    assert read_csv(tmp_path / "training_train.csv") == [["epoch", "total"], ["1", "0.123457"]]
    assert read_csv(tmp_path / "training_val.csv")[1] == ["1", "1e-09", "1"]


@pytest.mark.parametrize("name", ["knn", "mlp", "hybrid"])
def test_the_curve_of_a_predictor_is_scikit_learn_s(
    plots: Path, read_csv: ReadCsv, example: Example, name: str
) -> None:
    header, *rows = read_csv(plots / f"precision_recall_{name}.csv")
    assert header == ["recall", "precision"]
    labels = example.dataset.labels()[example.dataset.rows("test")].ravel()
    scores = example.evaluation.predictions["test"].scores[name].ravel()
    points = {
        (f"{recall_score(labels, scores >= t):.6g}", f"{precision_score(labels, scores >= t):.6g}")
        for t in np.unique(scores)
    }
    assert {(recall, precision) for recall, precision in rows} <= points
    assert rows[-1][0] == "1"


def test_the_curve_of_retrieval_is_the_stored_one(
    plots: Path, read_csv: ReadCsv, example: Example
) -> None:
    curve = example.evaluation.curves["test"]
    rows = read_csv(plots / "retrieval_precision_recall.csv")[1:]
    assert rows == [
        [f"{r:.6g}", f"{p:.6g}"] for r, p in zip(curve["recall"], curve["precision"], strict=True)
    ]


def test_words_of_captions_by_share(plots: Path, read_csv: ReadCsv, example: Example) -> None:
    words: dict[str, float | None] = {"mean": 4.0, "q00": 2.0, "q50": 4.0, "q100": 9.0}
    assert word_quantiles(words) == [(0.0, 2.0), (0.5, 4.0), (1.0, 9.0)]
    assert word_quantiles({"mean": None, "q50": None}) == []
    found = example.statistics["splits"]["test"]["caption_words"]
    assert ["0.5", f"{found['q50']:g}"] in read_csv(plots / "caption_words_test.csv")


def test_label_shift_is_a_ratio_of_shares() -> None:
    splits = {
        "train": {"images": 10, "class_frequency": [5, 2, 1, 0]},
        "test": {"images": 20, "class_frequency": [5, 8, 0, 3]},
    }
    names = ["dog", "cat", "bird", "horse"]
    rows = label_shifts({"categories": names, "splits": splits})
    assert rows == [("cat", 2.0), ("dog", 0.5)]


def test_classes_come_best_first_without_the_undefined(example: Example) -> None:
    labels = example.dataset.labels()[example.dataset.rows("test")]
    scores = example.evaluation.predictions["test"].scores["knn"]
    rows = class_average_precisions(example.dataset.category_names, scores, labels)
    assert {name for name, _ in rows} == {"person", "hot dog", "<b>cat</b>"}
    values = [value for _, value in rows]
    assert values == sorted(values, reverse=True)
    for name, value in rows:
        column = example.dataset.category_names.index(name)
        expected = average_precision_score(labels[:, column], scores[:, column])
        assert value == pytest.approx(expected)


def test_equally_good_classes_come_by_name() -> None:
    labels = np.array([[1, 1], [0, 0]], dtype=np.uint8)
    rows = class_average_precisions(("zebra", "apple"), labels.astype(np.float32), labels)
    assert rows == [("apple", 1.0), ("zebra", 1.0)]


def test_label_counts_are_one_row_an_image_with_an_open_last_class() -> None:
    labels = np.zeros((4, 8), dtype=np.uint8)
    labels[1, :2], labels[2, :6], labels[3, :8] = 1, 1, 1
    decided = np.zeros((4, 8), dtype=bool)
    decided[0, :7], decided[2, :5] = True, True
    # From 6 on they are one class: that of 6 and more.
    assert label_counts(labels, decided) == [("0", "6+"), ("2", "0"), ("6+", "5"), ("6+", "0")]


def test_label_counts_use_the_threshold_tuned_on_val(
    plots: Path, read_csv: ReadCsv, example: Example
) -> None:
    rows = read_csv(plots / "label_counts.csv")[1:]
    threshold = example.evaluation.figures["knn"]["threshold"]["tuned"]
    decided = example.evaluation.predictions["test"].scores["knn"] >= threshold
    labels = example.dataset.labels()[example.dataset.rows("test")]
    assert rows == [[str(t), str(p)] for t, p in zip(labels.sum(1), decided.sum(1), strict=True)]


def test_co_occurrence_takes_pairs_of_the_most_frequent() -> None:
    assert co_occurrences(["a", "b", "c"], [[2, 1, 0], [1, 5, 2], [0, 2, 5]]) == [
        ("b", "c", 2),
        ("b", "a", 1),
        ("c", "b", 2),
        ("c", "a", 0),
        ("a", "b", 1),
        ("a", "c", 0),
    ]
    many = np.diag(np.arange(1, 81)).tolist()
    rows = co_occurrences([str(number) for number in range(80)], many)
    assert len(rows) == 20 * 19
    assert rows[0][:2] == ("79", "78")


def test_bits_are_those_of_the_database(example: Example) -> None:
    packed = example.codes.searchable()[example.dataset.rows("train")]
    rows = code_bits(example.codes, example.dataset)
    assert [row[0] for row in rows] == list(range(16))
    np.testing.assert_array_equal([row[1] for row in rows], bit_means(packed))
    np.testing.assert_array_equal([row[2] for row in rows], bit_entropies(packed))


def test_without_a_hash_layer_there_are_no_bits(
    tmp_path: Path, uncoded: Example, read_csv: ReadCsv
) -> None:
    folder = written(tmp_path, uncoded)
    assert read_csv(folder / "code_bits.csv") == [["bit", "mean", "entropy"]]
    assert len(list(folder.iterdir())) == 18


def test_cells_are_quoted_where_csv_needs_it(tmp_path: Path) -> None:
    rows = [("a, b", np.float32(0.25)), ('say "c"', 7), ("d", 1 / 3)]
    write_rows(tmp_path / "rows.csv", ("name", "value"), rows)
    assert (tmp_path / "rows.csv").read_bytes() == (
        b'name,value\n"a, b",0.25\n"say ""c""",7\nd,0.333333\n'
    )


def test_errors_by_group(plots: Path, read_csv: ReadCsv, example: Example) -> None:
    rows = read_csv(plots / "f1_by_label_count.csv")
    assert rows[0] == ["labels", "knn", "mlp", "hybrid"]
    assert len(rows) == 1 + len(example.errors["groups"]["label_count"])
    assert [row[0] for row in read_csv(plots / "recall_by_object_size.csv")] == [
        *("size", "4% to 16%")
    ]
