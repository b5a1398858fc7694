"""DESIGN section 5, point 11: the memory watch asks the card, whatever card it is."""

import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.params import MemoryParams
from siglip2_multimodal_hash.training.memory import (
    GIB,
    CudaProbe,
    MemoryWatch,
    explained_out_of_memory,
    probe_of,
)


class FakeCard:
    """A card of ``size`` GiB; ``reserved_gib`` is what the tests turn."""

    def __init__(self, size: float) -> None:
        self.size = size
        self.reserved_gib = 0.0
        self.released = 0

    def allocated(self) -> int:
        return int(self.reserved_gib * GIB / 2)

    def reserved(self) -> int:
        return int(self.reserved_gib * GIB)

    def peak(self) -> int:
        return self.reserved()

    def capacity(self) -> int:
        return int(self.size * GIB)

    def release_cache(self) -> None:
        self.released += 1


def memory(**changes: Any) -> MemoryParams:
    values: dict[str, Any] = {
        "empty_cache_steps": 0,
        "log_gpu_memory": True,
        "alert_vram_fraction": 0.9,
    }
    return MemoryParams(**(values | changes))


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.INFO):
        yield caplog


def warnings(log: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in log.records if one.levelno == logging.WARNING]


@pytest.mark.parametrize(("size", "warned"), [(8, True), (16, False), (80, False)])
def test_point_11_the_capacity_is_the_cards_own(
    size: float, warned: bool, log: pytest.LogCaptureFixture
) -> None:
    card = FakeCard(size)
    card.reserved_gib = 7.5
    MemoryWatch(memory(), card, every=1).after_update(1)
    assert f"7.50 peak, of {size:.2f}" in log.messages[0]
    assert bool(warnings(log)) == warned


def test_point_11_the_probe_reads_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[torch.device] = []

    def properties(device: torch.device) -> Any:
        asked.append(device)
        return SimpleNamespace(total_memory=17 * GIB)

    monkeypatch.setattr(torch.cuda, "get_device_properties", properties)
    probe = probe_of(torch.device("cuda", 1))
    assert isinstance(probe, CudaProbe)
    assert probe.capacity() == 17 * GIB
    assert asked == [torch.device("cuda", 1)]


def test_it_warns_once_each_time_the_line_is_crossed(log: pytest.LogCaptureFixture) -> None:
    card = FakeCard(10)
    watch = MemoryWatch(memory(log_gpu_memory=False), card, every=1)
    for update, reserved in enumerate((8.9, 9.0, 9.5, 8.0, 9.5), start=1):
        card.reserved_gib = reserved
        watch.after_update(update)
    first, second = warnings(log)
    assert first.startswith("update 2: 90% of the card's 10.00 GiB")
    assert "alert_vram_fraction = 0.9" in first
    assert "training.batch_size" in first
    assert second.startswith("update 5: 95%")
    assert log.messages == [first, second]


def test_it_looks_and_releases_at_its_own_intervals(log: pytest.LogCaptureFixture) -> None:
    card = FakeCard(10)
    watch = MemoryWatch(memory(empty_cache_steps=4), card, every=3)
    for update in range(1, 13):
        watch.after_update(update)
    assert [message.split(":")[0] for message in log.messages] == [
        "update 3",
        "update 6",
        "update 9",
        "update 12",
    ]
    assert card.released == 3


def test_it_is_silent_on_the_cpu(log: pytest.LogCaptureFixture) -> None:
    assert probe_of(torch.device("cpu")) is None
    MemoryWatch(memory(empty_cache_steps=1), None, every=1).after_update(1)
    assert log.messages == []


def test_out_of_memory_shows_the_first_line_and_the_way_out() -> None:
    with (
        pytest.raises(InputError, match=r"batch_size = 4096: CUDA out of memory\.\n  -> lower"),
        explained_out_of_memory(4096),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory.\nTraceback of the allocator")


def test_what_the_cpu_says_when_it_has_no_memory_is_recognised() -> None:
    with pytest.raises(InputError, match=r"batch_size = 1"), explained_out_of_memory(1):
        torch.empty(2**60, dtype=torch.uint8)
