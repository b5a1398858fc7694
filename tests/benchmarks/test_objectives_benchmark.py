"""The profiles that the benchmark compares: allowed by params.yaml, and the default among them."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from benchmarks.objectives import PROFILES, changed
from siglip2_multimodal_hash.params import load_params, parse_params
from siglip2_multimodal_hash.presets import load_preset

ROOT = Path(__file__).resolve().parents[2]
PARAMS = load_params(ROOT / "params.yaml")


@pytest.mark.parametrize("name", list(PROFILES))
def test_every_profile_is_allowed(name: str) -> None:
    params = changed(PARAMS, PROFILES[name])
    raw = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for section, values in PROFILES[name].items():
        raw[section] |= values
    raw["runtime"]["logging"]["progress"] = False
    assert parse_params(raw) == params


def test_the_default_is_one_of_them_and_so_is_the_plan() -> None:
    assert changed(PARAMS, PROFILES["discrete_pairwise"]) == changed(PARAMS, {})
    plan = load_preset("plan-v2.2", ROOT / "configs" / "presets").overrides
    values = {
        f"{section}.{key}": value
        for section, part in PROFILES["plan"].items()
        for key, value in part.items()
    }
    assert values.items() <= plan.items()
    # Parameters that the profile leaves alone are the plan's in params.yaml already.
    for key, value in plan.items():
        section, _, leaf = key.partition(".")
        if section == "baselines":  # none is fitted here
            continue
        found: Any = getattr(changed(PARAMS, PROFILES["plan"]), section)
        found = getattr(found, leaf) if leaf else found
        assert (list(found) if isinstance(found, tuple) else found) == value
