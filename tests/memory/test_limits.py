"""Memory that there is, of the card (DESIGN section 5, point 11) and of the machine."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.memory.limits import (
    CudaProbe,
    MemoryWatch,
    explained_out_of_memory,
    fits_device,
    fits_memory,
    free_memory,
    total_memory,
)
from siglip2_multimodal_hash.memory.needs import GIB
from siglip2_multimodal_hash.params import MemoryParams


class FakeCard(CudaProbe):
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


def watching(**changes: Any) -> MemoryParams:
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
    MemoryWatch(watching(), card, every=1).after_update(1)
    assert f"7.5 GiB peak, of {size:.1f} GiB" in log.messages[0]
    assert bool(warnings(log)) == warned


def test_point_11_the_probe_reads_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[torch.device] = []

    def properties(device: torch.device) -> SimpleNamespace:
        asked.append(device)
        return SimpleNamespace(total_memory=17 * GIB)

    monkeypatch.setattr(torch.cuda, "get_device_properties", properties)
    assert CudaProbe(torch.device("cuda", 1)).capacity() == 17 * GIB
    assert asked == [torch.device("cuda", 1)]


def test_it_warns_once_each_time_the_line_is_crossed(log: pytest.LogCaptureFixture) -> None:
    card = FakeCard(10)
    watch = MemoryWatch(watching(log_gpu_memory=False), card, every=1)
    for update, reserved in enumerate((8.9, 9.0, 9.5, 8.0, 9.5), start=1):
        card.reserved_gib = reserved
        watch.after_update(update)
    first, second = warnings(log)
    assert first.startswith("update 2: 90% of the card's 10.0 GiB")
    assert "alert_vram_fraction = 0.9" in first
    assert "training.batch_size" in first
    assert second.startswith("update 5: 95%")
    assert log.messages == [first, second]


def test_it_looks_and_releases_at_its_own_intervals(log: pytest.LogCaptureFixture) -> None:
    card = FakeCard(10)
    watch = MemoryWatch(watching(empty_cache_steps=4), card, every=3)
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
    MemoryWatch(watching(empty_cache_steps=1), None, every=1).after_update(1)
    assert log.messages == []


def test_out_of_memory_shows_the_first_line_and_the_way_out() -> None:
    with (
        pytest.raises(InputError, match=r"with batch 4096: CUDA out of memory\.\n  -> lower it$"),
        explained_out_of_memory("batch 4096", "lower it"),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory.\nTraceback of the allocator")


def test_what_the_cpu_says_when_it_has_no_memory_is_recognised() -> None:
    with pytest.raises(InputError, match=r"with batch 1:"), explained_out_of_memory("batch 1", ""):
        torch.empty(2**60, dtype=torch.uint8)


def test_another_error_is_let_through() -> None:
    with pytest.raises(RuntimeError, match="another defect"), explained_out_of_memory("", ""):
        raise RuntimeError("another defect")


CPU = torch.device("cpu")


def test_free_memory_is_less_than_all_there_is() -> None:
    assert 0 < free_memory(CPU) < total_memory()
    assert total_memory() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("version", [1, 2])
def test_a_containers_limit_counts_and_its_page_cache_is_free(tmp_path: Path, version: int) -> None:
    prefix, names = tmp_path, ("memory.max", "memory.current", "file")
    if version == 1:
        prefix = tmp_path / "memory"
        prefix.mkdir()
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_cache")
    limit, usage, cache = names
    (prefix / limit).write_text("1000\n")
    (prefix / usage).write_text("700\n")
    (prefix / "memory.stat").write_text(f"anon 500\n{cache} 200\nkernel 3\n")
    assert total_memory(tmp_path) == 1000
    assert free_memory(CPU, tmp_path) == 1000 - 700 + 200


def test_a_container_without_a_limit_has_the_machines_memory(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max\n")
    assert total_memory(tmp_path) == psutil.virtual_memory().total


def test_how_much_the_main_memory_takes(tmp_path: Path) -> None:
    for name, content in (("max", "1024000"), ("current", "0"), ("stat", "file 0")):
        (tmp_path / f"memory.{name}").write_text(f"{content}\n")
    assert fits_memory(614_400, tmp_path)
    assert not fits_memory(614_401, tmp_path)


def test_how_much_a_card_takes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (10**9, 16 * 10**9))
    card = torch.device("cuda", 0)
    assert fits_device(7 * 10**8, card)
    with caplog.at_level(logging.INFO):
        assert not fits_device(2 * 10**9, card)
    assert caplog.messages == [
        "the training embeddings (1.9 GiB) stay in main memory: the card has 953.7 MiB free"
    ]
    assert fits_device(2**60, torch.device("cpu"))
