"""Progress on a terminal and without one."""

import logging
import re
from collections.abc import Iterator

import pytest

from siglip2_multimodal_hash.progress import BYTES, LogHandler, Phase, phase, show, track
from tests.terminals import Log, Terminal


@pytest.fixture(autouse=True)
def _hidden_again() -> Iterator[None]:
    yield
    show(False)


@pytest.fixture
def log() -> Log:
    stream = Log()
    show(stream=stream, interval=0.02)
    return stream


@pytest.fixture
def terminal() -> Terminal:
    stream = Terminal()
    show(stream=stream, interval=0.02)
    return stream


def after(seconds: float, monkeypatch: pytest.MonkeyPatch, begun: Phase) -> str:
    """The line of a phase that began so long ago."""
    monkeypatch.setattr(Phase, "seconds", seconds)
    return begun.line()


def test_without_a_terminal_lines_and_no_bars(log: Log) -> None:
    with phase("images", 1000, "image") as images:
        images.update(350)
        said = log.wait_for("left")
    assert "\r" not in said
    assert "|" not in said
    line = r"images: 35 % \(350 of 1,000\), [\d,.]+ images/s, \d+ s left"
    assert re.fullmatch(line, said.splitlines()[0])


def test_what_is_shorter_than_the_interval_has_no_line() -> None:
    stream = Log()
    show(stream=stream, interval=60)
    assert list(track(range(3), "images")) == [0, 1, 2]
    assert stream.getvalue() == ""


def test_on_a_terminal_one_bar_that_stays_when_it_is_full(terminal: Terminal) -> None:
    with phase("a stage"):
        terminal.wait_for("a stage: 00:00")
        with phase("images", 10, "image") as images:
            images.update(5)
            terminal.wait_for("images:  50%|", "5/10 [")
            images.update(5)
        assert "images: 100%|" in terminal.getvalue()
        assert terminal.getvalue().count("\n") == 1
        with phase("captions", 10), phase("decoding"):
            terminal.wait_for("captions:   0%|", ", decoding]")
    assert terminal.getvalue().count("\n") == 2


def test_a_phase_that_nobody_counts_shows_its_time(log: Log) -> None:
    with phase("annotations"):
        assert re.match(r"annotations: 0 s so far\n", log.wait_for("\n"))


def test_the_innermost_that_is_counted_is_shown(log: Log) -> None:
    with phase("stage"), phase("codes", 5, "code") as codes, phase("search", 2), phase("decoding"):
        codes.update()
        log.wait_for("codes 1/5, search: 0 of 2, 0 s so far, decoding\n")


def test_share_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    with phase("images", 123_287, "image", initial=20_000) as images:
        images.update(4_000)
    assert after(40, monkeypatch, images) == "19 % (24,000 of 123,287), 100.0 images/s, 17 min left"
    with phase("heads", 4, "head") as heads:
        assert after(80, monkeypatch, heads) == "0 of 4, 80 s so far"
        heads.update()
    assert after(80, monkeypatch, heads) == "25 % (1 of 4), 80.0 s/head, 4 min left"
    with phase("train2014.zip", 13 * 2**30, BYTES) as archive:
        archive.update(2**30)
    line = "8 % (1.0 GiB of 13.0 GiB), 102.4 MiB/s, 2 min left"
    assert after(10, monkeypatch, archive) == line


def test_what_others_count(log: Log) -> None:
    with phase("epochs", 60, "epoch", count=lambda: 12):
        log.wait_for("epochs: 20 % (12 of 60)")


def test_nothing_is_shown_until_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with phase("images", 10) as images:
        images.update(10)
    assert images.done == 10
    assert capsys.readouterr().err == ""


def test_an_error_in_a_phase_ends_it(log: Log) -> None:
    with pytest.raises(ValueError, match="bad"), phase("images", 10):
        raise ValueError("bad")
    with phase("captions", 10):
        assert "images" not in log.wait_for("captions: ")


def test_lines_of_the_log_stand_above_the_bar(terminal: Terminal) -> None:
    handler = LogHandler(terminal)
    with phase("images", 10):
        terminal.wait_for("images:   0%|")
        handler.handle(logging.makeLogRecord({"msg": "a warning"}))
        drawn = terminal.getvalue()
    last_bar, line = drawn.split("a warning\n")[0].rsplit("\r", 2)[-2:]
    assert (last_bar.strip(), line) == ("", "")
