"""Overrides reach DVC as they are, and times and lines are legible."""

from pathlib import Path

import pytest

from siglip2_multimodal_hash.experiments.progress import Progress, assignment, why_failed
from siglip2_multimodal_hash.progress import duration

hydra = pytest.importorskip("hydra.core.override_parser.overrides_parser")


@pytest.mark.parametrize(
    "value",
    [
        5, 0.03, 1e-6, True, "cosine", "google/siglip2-base-patch16-naflex", "models/tiny-16",
        "32", "true", "", "it's 50%", "a photo of a {}.", "{}", [1024, 512], ["q_proj", "a b"],
    ],
)  # fmt: skip
def test_an_override_is_read_as_it_was_meant(value: object) -> None:
    parser = hydra.OverridesParser.create()
    (found,) = parser.parse_overrides([assignment("a.b", value)])
    assert found.key_or_group == "a.b"
    assert found.value() == value
    assert type(found.value()) is type(value)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.4, "4 s"), (89, "89 s"), (91, "2 min"), (3599, "60 min"), (3661, "1 h 01 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_time_left_is_that_of_the_experiments_so_far() -> None:
    lines: list[str] = []
    progress = Progress(3, write=lines.append)
    progress.begin("a")
    progress.end("a", "done", 30.0)
    progress.begin("b")
    progress.end("b", "FAILED", 90.0)
    progress.end("c", "done", 1.0)
    assert lines == [
        "[1/3] a ...",
        "[1/3] a: done after 30 s; about 60 s left",
        "[2/3] b ...",
        "[2/3] b: FAILED after 2 min; about 60 s left",
        "[3/3] c: done after 1 s",
    ]


def test_experiments_at_once_share_the_time_left() -> None:
    lines: list[str] = []
    progress = Progress(4, at_once=2, write=lines.append)
    for name, seconds in (("a", 40.0), ("b", 60.0), ("c", 20.0)):
        progress.end(name, "done", seconds)
    assert [line.rpartition("; ")[2] for line in lines[:3]] == [
        "about 60 s left",  # three of 40 s, two at a time
        "about 50 s left",
        "about 40 s left",  # the last one runs alone
    ]


def test_why_it_failed_is_the_error_with_its_remedy(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_text("> python\nerror: bad\n  -> mend it\nERROR: failed to reproduce\n")
    assert why_failed(log).startswith("error: bad | -> mend it (")
    log.write_text("one\n\ntwo\nthree\nfour\n")
    assert why_failed(log).startswith("two | three | four (")
    assert why_failed(tmp_path / "none.log").startswith("no output (")
