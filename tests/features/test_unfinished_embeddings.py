"""Unfinished work that is of another kind, damaged or in use is not continued."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from siglip2_multimodal_hash.arrays import save_array
from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.features.writer import UnfinishedEmbeddings, unfinished_embeddings
from siglip2_multimodal_hash.resume import locked

ROWS = {"images": 4, "captions": 6}
BATCHES = {"images": 2, "captions": 3}
MADE_BY = {"batch_size": 2, "amp_dtype": "float32", "libraries": {"torch": "2.9.0"}}


def fill(work: UnfinishedEmbeddings, unit: str, number: int) -> None:
    rows = np.arange(2 * number, 2 * number + 2)
    work.writers[unit].write(rows, np.full((2, 3), number + 1, np.float32))
    work.record(unit, number + 1)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """One that a run with all images and one batch of captions left."""
    with unfinished_embeddings(tmp_path / "out", MADE_BY, ROWS, BATCHES) as work:
        for unit, number in (("images", 0), ("images", 1), ("captions", 0)):
            fill(work, unit, number)
    return tmp_path / "out"


@pytest.fixture
def root(target: Path) -> Path:
    return target.with_name("out.partial")


def reopened(
    target: Path, fingerprint: Mapping[str, Any] = MADE_BY
) -> tuple[dict[str, int], list[str]]:
    with unfinished_embeddings(target, fingerprint, ROWS, BATCHES) as work:
        inside = sorted(path.name for path in work.folder.iterdir())
        return dict(work.done), inside


def assert_nothing_is_left(target: Path, caplog: pytest.LogCaptureFixture, reason: str) -> None:
    assert reopened(target) == ({"images": 0, "captions": 0}, [])
    (record,) = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert " is discarded: " in record.message
    assert reason in record.message
    assert list(target.parent.iterdir()) == []


def test_goes_on_and_becomes_the_output(target: Path, root: Path) -> None:
    with unfinished_embeddings(target, MADE_BY, ROWS, BATCHES) as work:
        assert work.done == {"images": 2, "captions": 1}
        fill(work, "captions", 1)
        fill(work, "captions", 2)
        work.complete()
    assert sorted(path.name for path in target.iterdir()) == ["caption.npy", "image.npy"]
    assert np.load(target / "image.npy")[:, 0].tolist() == [1, 1, 2, 2]
    assert np.load(target / "caption.npy")[:, 0].tolist() == [1, 1, 2, 2, 3, 3]
    assert not root.exists()


@pytest.mark.parametrize("place", ["out", "out.partial", "out.partial/notes"])
def test_a_folder_of_another_make_is_refused_before_the_work(target: Path, place: str) -> None:
    """DVC removes an old output before it runs the stage; what else is there is the user's."""
    kept = target.parent / place / "thesis.txt"
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.touch()
    with pytest.raises(InputError, match="a folder is there"):
        reopened(target)
    assert kept.exists()


def test_what_is_not_counted_is_removed(target: Path, root: Path) -> None:
    """Files of a killed rename, for one: the output holds what it always holds."""
    (root / ".progress.json.tmp-1").touch()
    (root / "out" / ".meta.json.tmp-1").touch()
    (root / "out" / "meta.json").touch()
    assert reopened(target) == ({"images": 2, "captions": 1}, ["caption.npy", "image.npy"])


@pytest.mark.parametrize(
    ("fingerprint", "names"),
    [
        (MADE_BY | {"batch_size": 3}, "batch_size"),
        (MADE_BY | {"libraries": {"torch": "2.9.1"}}, "libraries"),
        ({"amp_dtype": "bfloat16", "batch_size": 2}, "amp_dtype, libraries"),
    ],
)
def test_work_of_another_kind_is_discarded(
    target: Path,
    root: Path,
    caplog: pytest.LogCaptureFixture,
    fingerprint: Mapping[str, Any],
    names: str,
) -> None:
    assert reopened(target, fingerprint) == ({"images": 0, "captions": 0}, [])
    assert f"discarded: it was made with another {names}" in caplog.text
    assert not root.exists()


@pytest.mark.parametrize("share", [0, 0.3, 0.9])
def test_truncated_progress_is_none(
    target: Path, root: Path, caplog: pytest.LogCaptureFixture, share: float
) -> None:
    data = (root / "progress.json").read_bytes()
    (root / "progress.json").write_bytes(data[: int(share * len(data))])
    assert_nothing_is_left(target, caplog, "not valid JSON")


@pytest.mark.parametrize("content", ["[]", "{}", '{"fingerprint": 3}'])
def test_another_file_is_no_progress(
    target: Path, root: Path, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    (root / "progress.json").write_text(content)
    assert_nothing_is_left(target, caplog, "progress.json: damaged")


def test_a_changed_digit_is_seen(
    target: Path, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = (root / "progress.json").read_text()
    (root / "progress.json").write_text(text.replace('"captions": 1', '"captions": 2'))
    assert_nothing_is_left(target, caplog, "progress.json: damaged")


@pytest.mark.parametrize("name", ["image.npy", "caption.npy"])
@pytest.mark.parametrize("bytes_left", [None, 0, 50, 150])
def test_a_truncated_or_missing_array_is_nothing_done(
    target: Path, root: Path, caplog: pytest.LogCaptureFixture, name: str, bytes_left: int | None
) -> None:
    path = root / "out" / name
    if bytes_left is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:bytes_left])
    assert_nothing_is_left(target, caplog, name)


def test_an_array_of_other_rows_is_nothing_done(
    target: Path, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_array(root / "out" / "image.npy", np.ones((5, 3), np.float32))
    assert_nothing_is_left(target, caplog, "expected 4 rows")


def test_two_at_once_are_refused(target: Path) -> None:
    busy = pytest.raises(DataError, match="another process is writing there")
    with unfinished_embeddings(target, MADE_BY, ROWS, BATCHES), busy:
        reopened(target, {})
    assert reopened(target)[0] == {"images": 2, "captions": 1}


def test_a_killed_process_lets_go(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        with locked(tmp_path / "root"):
            os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    with locked(tmp_path / "root"):
        pass
