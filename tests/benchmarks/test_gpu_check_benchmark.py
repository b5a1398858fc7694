"""The check of a card, run small on the CPU; what fails, and what is broken."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import gpu_check
from benchmarks.gpu_check import SMALL, Figure, Row, Setting, attempt, check, direction_error, table
from benchmarks.towers_and_images import SHAPES, images_for
from siglip2_multimodal_hash.errors import InputError

CPU = torch.device("cpu")


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(CPU, SMALL, threads=1, images=images_for("photos", None, tmp_path, 2))


def test_every_part_runs_small_on_a_cpu(setting: Setting) -> None:
    pytest.importorskip("peft")
    # The third tower differs from the first by its numbers alone, and takes as long as the others.
    setting = replace(setting, sizes=replace(SMALL, towers=SMALL.towers[:2]))
    rows = check(setting, gpu_check.parts(setting.sizes))
    assert not [row.failure for row in rows if row.failure]
    assert not any(row.broken for row in rows)
    assert [row.part for row in rows] == [
        "FAISS, 64 bits",
        "head",
        *(f"{shape.name}, {unit}" for shape in SHAPES[:2] for unit in ("images", "captions")),
        "LoRA, base-256",
    ]
    assert all(row.peak_gib > 0 for row in rows)
    found = {(row.part, one.name): one for row in rows for one in row.figures}
    # On the device that is compared with itself, only the low precision differs.
    assert found["base-naflex, images", "direction, float32"].value == 0
    assert 0 < found["base-naflex, images", "direction, torch.bfloat16"].value < 0.03
    assert found["head", "share of bits unlike the CPU's"].value == 0
    assert found["LoRA, base-256", "pairs/s"].value > 0


def test_a_part_that_fails_is_a_line_and_the_next_runs(setting: Setting) -> None:
    def fails(_: Setting) -> list[Figure]:
        raise torch.OutOfMemoryError("CUDA out of memory.\n  Tried to allocate 20.00 GiB")

    def works(_: Setting) -> list[Figure]:
        return [Figure("ids", 0, bound=0)]

    rows = check(setting, {"a": fails, "b": works})
    assert rows[0].failure == "CUDA out of memory. Tried to allocate 20.00 GiB"
    assert not rows[0].broken
    assert [one.value for one in rows[1].figures] == [0]
    assert "no figures: CUDA out of memory." in table(rows)
    late = check(setting, {"a": works}, minutes=-1)
    assert late[0].failure == "left out: -1 minutes are over"


def test_a_card_without_a_faiss_for_it_is_told(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (2**30, 2**34))
    card = Setting(torch.device("cuda"), SMALL, 1, setting.images)
    monkeypatch.setattr(gpu_check, "on_gpu", lambda index: index.faiss_index)
    with pytest.raises(InputError, match="ACCELERATOR=gpu"):
        gpu_check.search(card)


def test_limits() -> None:
    row = Row("part", [Figure("ids", 1, bound=0), Figure("ratio", 0.7, goal=0.8)])
    assert row.broken
    assert "bound <= 0: BROKEN" in table([row])
    missed = Row("part", [Figure("ratio", 0.7, goal=0.8, more_is_better=True)])
    assert not missed.broken
    assert "goal >= 0.8: missed" in table([missed])
    assert Row("part", [Figure("distance", float("nan"), bound=1)]).broken


def test_directions() -> None:
    rows = np.array([[3, 4], [0, 2]], dtype=np.float32)
    assert direction_error(rows, 5 * rows) == 0
    assert direction_error(rows, rows[::-1].copy()) == pytest.approx(np.sqrt(0.6**2 + 0.2**2))
    assert direction_error(np.full_like(rows, np.nan), rows) == 2


@pytest.mark.parametrize("value", [0, 1])
def test_a_broken_bound_is_the_exit_code(
    value: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    out = tmp_path / "check.json"
    part = {"one": lambda _: [Figure("ids", value, bound=0), Figure("s", 9, goal=1)]}
    monkeypatch.setattr(gpu_check, "parts", lambda _: part)
    monkeypatch.setattr(sys, "argv", ["gpu_check.py", "--device", "cpu", "--out", str(out)])
    if value:
        # Python's exit code of a message is 1.
        with pytest.raises(SystemExit, match="a bound is broken"):
            gpu_check.main()
    else:
        gpu_check.main()
    found = json.loads(out.read_text())
    assert found["rows"][0]["broken"] == bool(value)
    assert found["small"]
    assert found["device"].startswith("cpu")
    assert "goal" not in capsys.readouterr().out


def test_a_failure_is_not_hidden_by_an_empty_message(setting: Setting) -> None:
    def fails(_: Setting) -> list[Figure]:
        raise AssertionError

    assert attempt("a", fails, setting).failure == "AssertionError"


@pytest.mark.parametrize(("which", "millions"), [(0, 375), (1, 375), (2, 1136)])
def test_shapes_are_those_of_the_published_checkpoints(which: int, millions: int) -> None:
    model = SHAPES[which].build(torch.device("meta"), torch.bfloat16).model
    assert sum(v.numel() for v in model.parameters()) / 1e6 == pytest.approx(millions, abs=1)
