"""Memory that there is, of the card (DESIGN section 5, point 11) and of the machine."""

import logging
import os
from pathlib import Path

import psutil
import pytest
import torch

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.memory.limits import (
    explained_out_of_memory,
    fits_card,
    free_memory,
    release_cache,
)
from siglip2_multimodal_hash.memory.machine import free_main_memory, total_memory


@pytest.mark.parametrize(
    ("device", "every", "released"), [("cuda", 4, 3), ("cuda", 0, 0), ("cpu", 1, 0)]
)
def test_cached_memory_is_released_at_its_interval(
    device: str, every: int, released: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: calls.append(1))
    after_update = release_cache(every, torch.device(device))
    for update in range(1, 13):
        after_update(update)
    assert len(calls) == released


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
    assert free_main_memory(tmp_path) == 1000 - 700 + 200


def test_a_container_without_a_limit_has_the_machines_memory(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max\n")
    assert total_memory(tmp_path) == psutil.virtual_memory().total


def test_how_much_a_card_takes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (10**9, 16 * 10**9))
    card = torch.device("cuda", 0)
    assert fits_card(7 * 10**8, card)
    with caplog.at_level(logging.INFO):
        assert not fits_card(2 * 10**9, card)
    assert caplog.messages == [
        "the training embeddings (1.9 GiB) are read from the files: the card has 953.7 MiB free"
    ]
