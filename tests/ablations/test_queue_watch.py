"""The watch over DVC's queue, with a queue that is told what to say."""

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from siglip2_multimodal_hash.ablations import queued
from siglip2_multimodal_hash.ablations.dvc_queue import Task
from siglip2_multimodal_hash.ablations.progress import Progress


def test_one_never_seen_to_run_began_after_the_last_look(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    looks = itertools.chain([{"a": Task("Queued")}] * 20, [{"a": Task("Success")}])

    def sleep(seconds: float) -> None:
        now[0] += seconds

    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=sleep)
    monkeypatch.setattr(queued, "time", clock)
    monkeypatch.setattr(queued, "tasks", lambda *_: next(looks))
    monkeypatch.setattr(queued, "call", lambda *_: None)
    monkeypatch.setattr(queued, "fitting", lambda *_: SimpleNamespace(commit="c0ffee"))
    lines: list[str] = []
    # Without note_time: how long it took is not known, so nothing is noted.
    repository = cast(Any, SimpleNamespace(folder=None))
    statuses = [cast(Any, SimpleNamespace(wanted=SimpleNamespace(name="a")))]
    watch = queued._Watch(statuses, repository, Progress(1, write=lines.append), 1)
    assert watch.wait().done == ["a"]
    assert lines == ["[1/1] a: done after 4 s"]


@pytest.mark.parametrize(
    ("said", "losses", "queued_again", "fails"),
    [("[Errno 2] No such file or directory: '/r/.dvc/cache/runs/3d/3d6c/.AuF.tmp'", 1, 1, False),
     ("[Errno 2] No such file or directory: '/r/.dvc/cache/runs/3d/3d6c/.AuF.tmp'", 2, 1, True),
     ("[Errno 2] No such file or directory: 'data/index.parquet'", 1, 0, True)],
)  # fmt: skip
def test_one_that_lost_a_race_for_the_run_cache_is_queued_once_more(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    said: str,
    losses: int,
    queued_again: int,
    fails: bool,
) -> None:
    again: list[str] = []
    ends = iter([None] * losses + [SimpleNamespace(commit="c0ffee")])

    def log_of_dvc(_: Any, log: Path, *__: Any) -> int:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(f"ERROR: failed to reproduce 'train': {said}\n", encoding="utf-8")
        return 0

    monkeypatch.setattr(queued, "_PAUSE", 0)
    monkeypatch.setattr(queued, "tasks", lambda *_: {"a": Task("Failed")})
    monkeypatch.setattr(queued, "call", lambda *_: None)
    monkeypatch.setattr(queued, "run_logged", log_of_dvc)
    monkeypatch.setattr(queued, "_queue", lambda _, wanted: again.extend(o.name for o in wanted))
    monkeypatch.setattr(queued, "fitting", lambda *_: next(ends))
    repository = cast(Any, SimpleNamespace(folder=tmp_path))
    statuses = [cast(Any, SimpleNamespace(wanted=SimpleNamespace(name="a")))]
    watch = queued._Watch(statuses, repository, Progress(1, write=lambda _: None), 1)
    outcome = watch.wait()
    assert again == ["a"] * queued_again
    assert (outcome.done, list(outcome.failed)) == (([], ["a"]) if fails else (["a"], []))
