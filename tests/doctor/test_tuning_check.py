"""The doctor on tuned towers: their memory against the card's, by the tuning's own arithmetic."""

from dataclasses import replace
from typing import Any

import pytest

from siglip2_multimodal_hash.doctor.checklist import check_tuning
from siglip2_multimodal_hash.doctor.findings import Finding
from siglip2_multimodal_hash.doctor.machine import Machine
from siglip2_multimodal_hash.memory.needs import adapter_weights
from siglip2_multimodal_hash.memory.towers import Tower
from tests.doctor.machines import GIB, LAPTOP, PLAN, params_with, towers_of

COCO = ("coco2014", "siglip2-base-256", "rtx5080-16gb")


def finding(machine: Machine, *presets: str, **changes: Any) -> Finding:
    params = params_with(*presets, **changes)
    return check_tuning(machine, params, towers_of(params))


def test_frozen_towers_need_nothing() -> None:
    assert finding(PLAN, *COCO).status == "ok"
    assert "run once" in finding(PLAN, *COCO).finding


@pytest.mark.parametrize("mode", ["lora", "full"])
def test_the_plan_s_card_holds_the_base_towers(mode: str) -> None:
    found = finding(PLAN, *COCO, backbone__tune=mode)
    assert found.status == "ok"
    assert f"backbone.tune = {mode}: 3 epochs" in found.finding


def test_what_does_not_fit_is_said_with_what_to_lower() -> None:
    small = replace(PLAN, cards=(replace(PLAN.cards[0], memory=4 * GIB),))
    found = finding(small, *COCO, backbone__tune="full")
    assert found.status == "fail"
    for key in ("tune.batch_size", "backbone.gradient_checkpointing", "backbone.tune to lora"):
        assert key in found.remedy


def test_without_a_card_the_main_memory_counts() -> None:
    assert finding(LAPTOP, backbone__tune="full").status == "ok"
    assert finding(replace(LAPTOP, ram=GIB // 2), backbone__tune="full").status == "fail"


def test_the_adapters_of_the_embedded_towers_are_as_many_as_are_trained() -> None:
    # Rank 4, D = 128, F = 512; 2 layers: 2 * 4 * (4 * 256 + 2 * 640).
    assert adapter_weights(Tower(128, 512, 2, 64, 0), 4) == 2 * 4 * (1024 + 1280)
