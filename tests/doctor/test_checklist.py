"""The plan's checklist and the memory it is about, on the plan's machine and on smaller ones."""

from dataclasses import replace
from typing import Any

import pytest

from siglip2_multimodal_hash.doctor.checklist import check_disk, check_list, check_memory
from siglip2_multimodal_hash.doctor.findings import Finding
from siglip2_multimodal_hash.doctor.machine import Machine
from siglip2_multimodal_hash.params import Params
from tests.doctor.machines import (
    GIB,
    GTX_1050,
    LAPTOP,
    PLAN,
    needs_of,
    params_with,
    towers_of,
)

COCO = ("coco2014", "siglip2-base-256", "rtx5080-16gb")


def listed(machine: Machine, params: Params) -> dict[str, Finding]:
    findings = check_list(machine, params, needs_of(params), towers_of(params))
    return {one.name: one for one in findings}


def memory(machine: Machine, params: Params) -> dict[str, Finding]:
    cuda = machine.device(params.runtime.device) == "cuda"
    return {one.name: one for one in check_memory(machine, params, needs_of(params, cuda=cuda))}


def test_the_plan_s_machine_with_the_plan_s_values_passes() -> None:
    params = params_with(*COCO)
    found = listed(PLAN, params)
    assert list(found) == [
        "mixed precision",
        "batch size",
        "frozen towers",
        "gradient accumulation",
        "base rather than large",
        "workers",
    ]
    assert {one.status for one in found.values()} == {"ok"}
    assert {one.status for one in memory(PLAN, params).values()} == {"ok"}
    assert "32 x 2 = 64" in found["gradient accumulation"].finding


@pytest.mark.parametrize(
    ("name", "changes", "part"),
    [
        ("mixed precision", {"backbone__amp_dtype": "float32"}, "backbone.amp_dtype"),
        ("mixed precision", {"training__mixed_precision": "off"}, "training.mixed_precision"),
        ("batch size", {"training__batch_size": 8}, "16"),
        ("gradient accumulation", {"training__accumulation_steps": 1}, "accumulation_steps"),
        ("workers", {"runtime__dataloader__num_workers": 33}, "num_workers to 32"),
        ("workers", {"runtime__dataloader__num_workers": 1}, "num_workers to 16"),
    ],
)
def test_each_point_is_named_with_its_remedy(name: str, changes: dict[str, Any], part: str) -> None:
    found = listed(PLAN, params_with(*COCO, **changes))[name]
    assert found.status == "warn"
    assert part in found.remedy


def test_a_batch_larger_than_the_dataset_fails() -> None:
    found = listed(LAPTOP, params_with(training__batch_size=8001))["batch size"]
    assert (found.status, "8000 images" in found.finding) == ("fail", True)


@pytest.mark.parametrize("backbone", ["siglip2-large-256", "siglip2-so400m-384"])
def test_larger_towers_are_judged_by_the_memory(backbone: str) -> None:
    params = params_with("coco2014", backbone, "rtx5080-16gb")
    assert listed(PLAN, params)["base rather than large"].status == "ok"
    tiny = replace(PLAN, cards=(GTX_1050,))
    assert listed(tiny, params)["base rather than large"].status == "fail"
    assert listed(LAPTOP, params)["base rather than large"].status == "warn"


def test_a_tiny_card_is_told_what_does_not_fit() -> None:
    tiny = replace(PLAN, cards=(GTX_1050,))
    found = memory(tiny, params_with(*COCO))["card memory"]
    assert found.status == "fail"
    assert "of the card's 2.0 GiB" in found.finding
    assert "embed_batch_size" in found.remedy
    # With small batches the towers fit, and the embeddings of COCO still do not.
    small = params_with(*COCO, runtime__dataloader__embed_batch_size=4)
    assert "runtime.device to cpu" in memory(tiny, small)["card memory"].remedy
    assert memory(tiny, params_with("siglip2-tiny", "mojicoco"))["card memory"].status == "ok"


def test_a_card_that_is_nearly_full_is_warned_of() -> None:
    params = params_with(*COCO)
    needed = needs_of(params).device
    card = replace(PLAN.cards[0], memory=int(needed * 1.05))
    found = memory(replace(PLAN, cards=(card,)), params)["card memory"]
    assert found.status == "warn"
    assert "alert_vram_fraction = 0.9" in found.finding


def test_main_memory() -> None:
    params = params_with("coco2014", "siglip2-so400m-384", "rtx5080-16gb")
    need = needs_of(params).ram
    for ram, status in ((need * 2, "ok"), (int(need * 1.05), "warn"), (need - 1, "fail")):
        found = memory(replace(PLAN, ram=ram), params)["main memory"]
        assert found.status == status
    assert "read ahead" in found.remedy
    assert "card memory" not in memory(LAPTOP, params)


@pytest.mark.parametrize(("machine", "name"), [(PLAN, "card memory"), (LAPTOP, "main memory")])
def test_a_head_too_wide_is_named(machine: Machine, name: str) -> None:
    found = memory(machine, params_with(fusion__project_dim=10**8))[name]
    assert found.status == "fail"
    assert found.remedy.startswith("lower fusion.project_dim")


@pytest.mark.parametrize(
    ("free", "cache_free", "one_disk", "download", "status"),
    [
        (100, 100, True, 5, "ok"),
        (5, 5, True, 0, "warn"),
        (2, 2, True, 0, "fail"),
        (5, 5, True, 3, "fail"),
        (100, 2, False, 3, "fail"),
        (100, 4, False, 3, "ok"),
    ],
)
def test_disk(free: int, cache_free: int, one_disk: bool, download: int, status: str) -> None:
    """COCO with base writes 2.9 GiB, and as much into DVC's cache."""
    machine = replace(LAPTOP, disk_free=free * GIB, cache_free=cache_free * GIB, one_disk=one_disk)
    needs = needs_of(params_with(*COCO))
    assert 2.5 * GIB < needs.outputs < 3.1 * GIB
    found = check_disk(machine, needs, download * GIB)
    assert found.status == status
    assert bool(found.remedy) == (status != "ok")
