"""The watch over a stage's memory: of the card (DESIGN section 5, point 11) and of the machine."""

import logging
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest
import torch

from siglip2_multimodal_hash.memory import watch
from siglip2_multimodal_hash.memory.needs import GIB
from siglip2_multimodal_hash.memory.watch import CARD, MAIN, MemoryWatch, Use, card_memory
from siglip2_multimodal_hash.params import MemoryParams

LOG = "siglip2_multimodal_hash.memory.watch"


def watching(**changes: Any) -> MemoryParams:
    values: dict[str, Any] = {
        "empty_cache_steps": 0,
        "log_gpu_memory": True,
        "alert_vram_fraction": 0.9,
        "alert_ram_fraction": 0.8,
    }
    return MemoryParams(**(values | changes))


def memory(used: float, total: float = 10, own: float = 1) -> Callable[[], Use]:
    return lambda: Use(int(used * GIB), int(own * GIB), int(total * GIB))


def warnings(log: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in log.records if one.levelno == logging.WARNING]


@pytest.mark.parametrize(
    ("stage", "name", "parts"),
    [
        (
            "embed",
            CARD,
            ("alert_vram_fraction = 0.9", "lower runtime.dataloader.embed_batch"),
        ),
        ("embed", MAIN, ("alert_ram_fraction = 0.8", "embed_batch_size or runtime.dataloader.num")),
        ("tune_towers", CARD, ("lower tune.batch_size",)),
        ("train", CARD, ("lower training.batch_size",)),
        ("extract_hashes", MAIN, ("lower runtime.dataloader.inference_batch_size",)),
    ],
)
def test_a_memory_that_runs_full_is_named_with_what_to_lower(
    stage: str, name: str, parts: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    MemoryWatch(watching(), stage, {name: memory(9.5)}).look()
    (said,) = warnings(caplog)
    assert said.startswith(f"{name}: 95% of 10.0 GiB are in use, 1.0 GiB by this stage")
    assert all(part in said for part in parts)


@pytest.mark.parametrize(("size", "warned"), [(8, True), (16, False), (80, False)])
def test_point_11_the_capacity_is_the_cards_own(
    size: float, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    MemoryWatch(watching(), "train", {CARD: memory(7.5, size)}).look()
    assert bool(warnings(caplog)) == warned


def test_it_warns_once_each_time_the_line_is_crossed(caplog: pytest.LogCaptureFixture) -> None:
    uses = iter(memory(used)() for used in (8.9, 9.0, 9.5, 8.0, 9.6))
    observer = MemoryWatch(watching(), "train", {CARD: lambda: next(uses)})
    for _ in range(5):
        observer.look()
    assert [said[:15] for said in warnings(caplog)] == ["GPU memory: 90%", "GPU memory: 96%"]


def test_it_looks_while_the_block_runs_and_says_what_was_taken_at_most(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("LOOK_SECONDS", 0.001), ("LOG_SECONDS", 0), ("LONG_SECONDS", 0)):
        monkeypatch.setattr(watch, name, seconds)
    with (
        caplog.at_level(logging.INFO, LOG),
        MemoryWatch(watching(), "embed", {CARD: memory(2, own=1.5), MAIN: memory(3)}),
    ):
        ends = time.monotonic() + 10
        while not caplog.messages and time.monotonic() < ends:
            time.sleep(0.001)
    assert caplog.messages[0] == (
        "GPU memory: 2.0 GiB of 10.0 GiB in use, 1.5 GiB by this stage; "
        "main memory: 3.0 GiB of 10.0 GiB in use, 1.0 GiB by this stage"
    )
    assert caplog.messages[-1] == "largest use: 1.5 GiB of GPU memory, 1.0 GiB of main memory"


def test_it_is_silent_about_a_short_stage_on_a_cpu(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.INFO, LOG),
        MemoryWatch(watching(alert_ram_fraction=1.0), "x") as w,
    ):
        w.look()
    assert caplog.messages == []


def test_main_memory_is_this_machines() -> None:
    use = watch.main_memory()
    assert psutil.Process().memory_info().rss // 2 < use.own < use.used < use.total


def test_the_card_is_read_once_it_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    assert card_memory() is None
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (6 * GIB, 16 * GIB))
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda: 4 * GIB)
    assert card_memory() == Use(10 * GIB, 4 * GIB, 16 * GIB)
