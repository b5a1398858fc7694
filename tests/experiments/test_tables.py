"""Tables of rows, by hand: mean, spread, differences, what is bold, and how LaTeX is escaped."""

import csv
import io

import numpy as np
import pandas as pd
import pytest

from siglip2_multimodal_hash.document import as_markdown, as_text
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.evaluation.items import ItemResults, Items
from siglip2_multimodal_hash.experiments.draws import FIGURES, difference, draw_figures
from siglip2_multimodal_hash.experiments.table_text import as_csv, escape, latex, table_parts
from siglip2_multimodal_hash.experiments.tables import Run, Table, build_table
from siglip2_multimodal_hash.params import PREDICTORS

TAGS = "tags mAP"


def drawn(value: float, *draws: float) -> np.ndarray:
    """A run with the same value and the same draws in all three figures."""
    return np.repeat(np.array([value, *draws])[:, None], len(FIGURES), axis=1)


def table(runs: dict[str, list[np.ndarray]], reference: str = "a_1", **lone: float) -> Table:
    """A table of these variants; run k of each has seed k and takes 10 s."""
    found = [
        Run(name, seed, figures, 10.0)
        for name, of in runs.items()
        for seed, figures in enumerate(of)
    ]
    found += [
        Run(name, 0, np.array([[value, np.nan, np.nan]]), 10.0) for name, value in lone.items()
    ]
    return build_table("X1", "50% or more?", reference, found, ["A note."])


def line(found: Table, variant: str, figure: str = TAGS) -> pd.Series:
    frame = found.frame
    return frame[(frame["variant"] == variant) & (frame["figure"] == figure)].iloc[0]


def best(found: Table) -> list[str]:
    """Variants whose mAP of tags is marked."""
    frame = found.frame[found.frame["figure"] == TAGS]
    return frame["variant"][frame["best"]].tolist()


CLEAR = {
    # Draws of the difference b - a: 0.1 and 0.2, so the interval lies above 0.
    "a_1": [drawn(0.5, 0.4, 0.5), drawn(0.7, 0.6, 0.7)],
    "b": [drawn(0.7, 0.5, 0.7), drawn(0.8, 0.7, 0.9)],
}


def test_mean_sd_and_difference_by_hand() -> None:
    second = line(table(CLEAR), "b")
    assert second["mean"] == pytest.approx(0.75)
    assert second["sd"] == pytest.approx(0.1 / 2**0.5)
    assert second["difference"] == pytest.approx(0.15)
    assert 0.1 <= second["low"] < second["high"] <= 0.2
    assert np.isnan(line(table(CLEAR), "a_1")["difference"])
    assert (second["seconds"], second["runs"]) == (10, 2)


def test_one_run_has_no_sd() -> None:
    found = table({"a_1": [drawn(0.5, 0.5)], "b": [drawn(0.6, 0.6)]})
    assert np.isnan(line(found, "b")["sd"])


def test_differences_take_the_seeds_that_both_have() -> None:
    runs = {"a_1": CLEAR["a_1"][:1], "b": CLEAR["b"]}
    assert line(table(runs), "b")["difference"] == pytest.approx(0.2)


def test_the_best_is_marked_where_the_difference_stands() -> None:
    assert best(table(CLEAR)) == ["b"]


def test_the_best_is_not_marked_where_it_does_not_stand() -> None:
    assert best(table({"a_1": [drawn(0.5, 0.4, 0.6)], "b": [drawn(0.55, 0.5, 0.5)]})) == []


def test_a_reference_that_is_best_is_marked_where_all_differences_stand() -> None:
    runs = {"a_1": [drawn(0.9, 0.8, 0.9)], "b": [drawn(0.5, 0.4, 0.5)]}
    assert best(table(runs)) == ["a_1"]
    runs["c"] = [drawn(0.85, 0.9, 0.8)]
    assert best(table(runs)) == []


def test_a_best_without_an_interval_is_not_marked() -> None:
    found = table(CLEAR, plain=0.99)
    assert np.isnan(line(found, "plain")["difference"])
    assert best(found) == []


def test_a_figure_that_a_variant_does_not_have_is_left_out() -> None:
    lone = drawn(0.9, 0.9, 0.9)
    lone[:, -1] = np.nan
    found = table({"a_1": CLEAR["a_1"][:1], "b": [lone]})
    *there, missing = FIGURES.values()
    assert found.frame["figure"][found.frame["variant"] == "b"].tolist() == there
    assert best(found) == ["b"]
    assert not line(found, "a_1", missing)["best"]


def markdown(tables: list[Table]) -> str:
    return as_markdown(table_parts(tables))


def test_markdown() -> None:
    text = markdown([table(CLEAR)])
    assert "### X1: 50% or more?" in text
    # Draws of the mean of both runs: 0.5 and 0.6.
    cell = "60.0 ± 14.1<br>(50.2 to 59.8)"
    assert f"| a_1 * | 2 | {cell} | {cell} | {cell} | 10 s |" in text
    assert "| b | 2 | **75.0 ± 7.1**<br>+15.0 (+" in text
    assert text.rstrip().endswith("A note.")


def test_on_a_terminal_a_cell_has_two_lines_and_no_markup() -> None:
    lines = as_text(table_parts([table(CLEAR)]), width=100).splitlines()
    assert not any("<br>" in line or "**" in line for line in lines)
    assert max(map(len, lines)) <= 100
    (place,) = (number for number, line in enumerate(lines) if line.startswith("a_1 *"))
    assert lines[place].split() == ["a_1", "*", "2", *["60.0", "±", "14.1"] * 3, "10", "s"]
    assert lines[place + 1].split() == ["(50.2", "to", "59.8)"] * 3


def test_what_cannot_change_a_figure_is_the_same() -> None:
    runs = {"a_1": CLEAR["a_1"], "b": CLEAR["a_1"]}
    found = table(runs)
    assert best(found) == []
    assert markdown([found]).count("<br>same |") == len(FIGURES)


def test_latex_escapes_names_and_signs() -> None:
    text = latex([table(CLEAR)])
    assert r"\caption{X1: 50\% or more?}" in text
    assert r"a\_1 * & 2 & 60.0 $\pm$ 14.1 (50.2 to 59.8) &" in text
    assert r"b & 2 & \textbf{75.0 $\pm$ 7.1} +15.0 (" in text
    assert escape(r"a_b & 5% {x} \ ~ ^ # $") == (
        r"a\_b \& 5\% \{x\} \textbackslash{} \textasciitilde{} \textasciicircum{} \# \$"
    )


def test_a_negative_difference_has_a_sign_of_its_own() -> None:
    runs = {"a_1": [drawn(0.9, 0.8, 0.9)], "b": [drawn(0.5, 0.4, 0.5)]}
    assert "−40.0 (−40.0 to −40.0)" in markdown([table(runs)])
    assert "$-$40.0" in latex([table(runs)])


def test_csv_has_a_line_per_figure() -> None:
    lines = list(csv.DictReader(io.StringIO(as_csv([table(CLEAR, plain=0.4)]))))
    assert len(lines) == 2 * len(FIGURES) + 1
    first = lines[len(FIGURES)]
    assert (first["variant"], first["figure"], first["best"]) == ("b", TAGS, "1")
    assert (first["mean"], first["difference"], first["seconds"]) == (
        "0.750000",
        "0.150000",
        "10.0",
    )
    assert (lines[-1]["mean"], lines[-1]["sd"], lines[-1]["low"]) == ("0.400000", "", "")


def results(labels: list[list[int]], scores: list[list[float]]) -> ItemResults:
    array = np.array(scores, dtype=np.float32)
    items = Items(np.arange(len(labels)), np.array(labels, dtype=np.uint8), ("cat", "dog"))
    return ItemResults(
        items,
        dict.fromkeys(PREDICTORS, array),
        dict.fromkeys(PREDICTORS, 0.5),
        np.array([1.0, 0.5, np.nan, 0.0]),
    )


def test_figures_of_a_run_by_hand() -> None:
    # Cat: ranks 1 and 3 of its positives, AP (1 + 2/3) / 2; dog: its one positive is first, AP 1.
    found = draw_figures(
        results(
            [[1, 0], [0, 1], [1, 0], [0, 0]],
            [[0.9, 0.1], [0.6, 0.9], [0.4, 0.2], [0.1, 0.1]],
        ),
        draws=20,
    )
    assert found.shape == (21, 3)
    # At 0.5 cat has one hit, one false alarm, one miss; dog is right: CP = CR = 0.75.
    assert found[0] == pytest.approx([(5 / 6 + 1) / 2, 0.75, 0.5])


def test_equal_runs_do_not_differ() -> None:
    run = draw_figures(results([[1, 0], [0, 1], [1, 0], [0, 1]], [[0.1, 0.2]] * 4), draws=50)
    gap = difference(run[None, :, 0], run[None, :, 0])
    assert (gap.value, gap.low, gap.high) == (0, 0, 0)
    assert not gap.shown


def test_without_labels_there_is_no_figure() -> None:
    with pytest.raises(DataError, match="no class has a positive"):
        draw_figures(results([[0, 0]] * 4, [[0.1, 0.2]] * 4), draws=1)
