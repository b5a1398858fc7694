"""Paragraphs and tables, laid out for a terminal and as Markdown."""

import pytest

from siglip2_multimodal_hash.document import Strong, Table, Weak, as_markdown, as_text

TABLE = Table(
    ("row", "mAP", "labels"),
    [("a_1", Strong("74.5\n+1.2"), "cat | dog"), ("b", "5.0\nsame", "")],
    text=(0, 2),
    title="Which?",
)


def test_text_is_aligned_without_markup() -> None:
    assert as_text([TABLE, Weak("n = 2")], width=100).splitlines() == [
        "Which?",
        "row   mAP  labels",
        "a_1  74.5  cat | dog",
        "     +1.2",
        "b     5.0",
        "     same",
        "",
        "n = 2",
    ]


def test_markdown() -> None:
    assert as_markdown([TABLE, Weak("n = 2"), Strong("No.")]) == (
        "### Which?\n\n"
        "| row | mAP | labels |\n"
        "|---|---:|---|\n"
        "| a_1 | **74.5**<br>+1.2 | cat \\| dog |\n"
        "| b | 5.0<br>same |  |\n"
        "\nn = 2\n"
        "\n**No.**\n"
    )


def test_long_text_goes_on_in_its_column_and_numbers_stay_whole() -> None:
    rows = [("class", "1,234,567", "word " * 40), ("x" * 30, "7", "y" * 90)]
    lines = as_text([Table(("name", "images", "words"), rows, text=(0, 2))], width=60).splitlines()
    assert max(map(len, lines)) <= 60
    assert "1,234,567" in lines[1]
    assert "".join(lines).count("word") == 40 + 1
    assert "".join(lines).count("y") == 90


def test_of_a_line_that_is_too_short_the_last_columns_are_left_out() -> None:
    table = Table(["", "one", "two", "three"], [["float", "1.0", "2.0", "3.0"]])
    assert as_text([table], width=27) == "       one  two  three\nfloat  1.0  2.0    3.0\n"
    assert as_text([table], width=20) == "       one  two  …\nfloat  1.0  2.0\n"
    assert as_text([table], width=14) == "       one  …\nfloat  1.0\n"


@pytest.mark.parametrize(
    ("no_color", "term", "coloured", "styled"),
    [("", "xterm", True, True), ("1", "xterm", False, True), ("", "dumb", False, False)],
)
def test_colours_are_for_terminals_that_want_them(
    monkeypatch: pytest.MonkeyPatch, no_color: str, term: str, coloured: bool, styled: bool
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", term)
    shown = as_text([Strong("best")], width=100, colour=True)
    assert ("32m" in shown) is coloured  # green
    assert ("\x1b[" in shown) is styled
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert as_text([Strong("best")], width=100) == "best\n"
