"""The watch over DVC's queue, with a queue that is told what to say."""

import itertools
from types import SimpleNamespace
from typing import Any, cast

import pytest

from siglip2_multimodal_hash.ablations import queued
from siglip2_multimodal_hash.ablations.progress import Progress


def test_one_never_seen_to_run_began_after_the_last_look(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    looks = itertools.chain([{"a": "Queued"}] * 20, [{"a": "Success"}])

    def sleep(seconds: float) -> None:
        now[0] += seconds

    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=sleep)
    monkeypatch.setattr(queued, "time", clock)
    monkeypatch.setattr(queued, "task_states", lambda *_: next(looks))
    monkeypatch.setattr(queued, "_call", lambda *_: None)
    monkeypatch.setattr(queued, "fitting", lambda *_: SimpleNamespace(commit="c0ffee"))
    lines: list[str] = []
    # Without note_time: how long it took is not known, so nothing is noted.
    repository = cast(Any, SimpleNamespace(folder=None))
    statuses = [cast(Any, SimpleNamespace(wanted=SimpleNamespace(name="a")))]
    watch = queued._Watch(statuses, repository, Progress(1, write=lines.append), 1)
    assert watch.wait().done == ["a"]
    assert lines == ["[1/1] a: done after 4 s"]
