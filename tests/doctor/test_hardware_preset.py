"""Check of the hardware preset in force against the one that suits."""

from dataclasses import replace

import pytest

from siglip2_multimodal_hash.doctor.hardware import (
    check_hardware_preset,
    differences,
    suitable_preset,
)
from siglip2_multimodal_hash.doctor.machine import Card, Machine
from siglip2_multimodal_hash.presets import list_presets, load_preset
from tests.doctor.machines import GIB, GTX_1050, H200, LAPTOP, PLAN, PRESETS, params_with

ALL = list_presets(PRESETS)


def on(card: Card) -> Machine:
    return replace(PLAN, cards=(card,))


@pytest.mark.parametrize(
    ("machine", "name"),
    [
        (LAPTOP, "cpu"),
        (PLAN, "rtx5080-16gb"),
        (on(H200), "h200"),
        (on(replace(H200, memory=79 * GIB)), "h200"),
        (on(GTX_1050), "rtx5080-16gb-emergency"),
    ],
)
def test_what_suits_is_ok_once_it_is_used(machine: Machine, name: str) -> None:
    assert suitable_preset(machine, params_with(runtime__device="auto")) == name
    found = check_hardware_preset(machine, params_with(name), ALL)
    assert (found.status, found.finding) == ("ok", f"{name} is in force and suits this machine")


def test_the_default_is_that_of_a_machine_without_a_card() -> None:
    assert check_hardware_preset(LAPTOP, params_with(), ALL).status == "ok"


def test_the_default_on_the_plan_s_machine() -> None:
    found = check_hardware_preset(PLAN, params_with(), ALL)
    assert (found.status, found.remedy) == ("warn", "smhash use rtx5080-16gb")
    assert "none is in force" in found.finding
    assert "backbone.amp_dtype = bfloat16" in found.finding


def test_another_one_that_is_in_force_is_named() -> None:
    found = check_hardware_preset(on(H200), params_with("rtx5080-16gb"), ALL)
    assert found.finding.startswith("rtx5080-16gb is in force; h200 suits")


def test_a_limit_counts_as_a_difference_only_when_it_is_passed() -> None:
    emergency = load_preset("rtx5080-16gb-emergency", PRESETS)
    params = params_with("rtx5080-16gb-emergency", "siglip2-tiny-naflex")
    assert differences(emergency, params, "cuda") == {}
    params = params_with("rtx5080-16gb-emergency", "siglip2-base-naflex")
    assert params.backbone.max_num_patches == 196
    assert differences(emergency, params, "cuda") == {}
    above = params.backbone.model_copy(update={"max_num_patches": 225})
    changed = differences(emergency, params.model_copy(update={"backbone": above}), "cuda")
    assert changed == {"backbone.max_num_patches": 196}


def test_without_the_presets() -> None:
    assert check_hardware_preset(LAPTOP, params_with(), []).status == "warn"
