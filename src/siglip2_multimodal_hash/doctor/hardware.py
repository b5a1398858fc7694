"""Check of the hardware preset in force against the one that suits the machine."""

from collections.abc import Sequence
from typing import Any

from siglip2_multimodal_hash.doctor.findings import Finding, ok, warn
from siglip2_multimodal_hash.doctor.machine import Machine
from siglip2_multimodal_hash.memory.limits import EMERGENCY_PRESET
from siglip2_multimodal_hash.memory.needs import GIB
from siglip2_multimodal_hash.params import Params
from siglip2_multimodal_hash.presets import Preset

CPU = "cpu"
# The least memory of a card for each preset. A card sold as 16 GB reports a little less.
_BY_MEMORY = ((70 * GIB, "h200"), (14 * GIB, "rtx5080-16gb"), (0, EMERGENCY_PRESET))


def suitable_preset(machine: Machine, params: Params) -> str:
    """The name of the hardware preset that suits the device that ``runtime.device`` comes to."""
    if machine.device(params.runtime.device) == "cpu":
        return CPU
    memory = machine.cards[0].memory
    return next(name for least, name in _BY_MEMORY if memory >= least)


def differences(preset: Preset, params: Params, device: str) -> dict[str, Any]:
    """The values that the preset would change; ``runtime.device = auto`` counts as what it is."""
    changed: dict[str, Any] = {}
    for key, value in preset.overrides.items():
        present = _value(params, key)
        if key == "runtime.device" and present == "auto":
            present = device
        if present != value:
            changed[key] = value
    for key, limit in preset.at_most.items():
        if _value(params, key) > limit:
            changed[key] = limit
    return changed


def check_hardware_preset(machine: Machine, params: Params, presets: Sequence[Preset]) -> Finding:
    """Check that the parameters are those of the preset that suits the machine."""
    hardware = [preset for preset in presets if preset.kind == "hardware"]
    device = machine.device(params.runtime.device)
    changes = {preset.name: differences(preset, params, device) for preset in hardware}
    suits = suitable_preset(machine, params)
    # The order of the files: where two are in force at once, the one that suits is meant.
    in_force = [name for name, changed in changes.items() if not changed]
    if suits not in changes:
        return warn(
            "hardware preset",
            f"{suits} would suit, but is not in configs/presets",
            "git checkout configs/presets",
        )
    if suits in in_force:
        return ok("hardware preset", f"{suits} is in force and suits this machine")
    listed = ", ".join(f"{key} = {value}" for key, value in changes[suits].items())
    now = f"{in_force[0]} is in force" if in_force else "none is in force"
    return warn(
        "hardware preset",
        f"{now}; {suits} suits this machine and would set {listed}",
        f"smhash use {suits}",
    )


def _value(params: Params, key: str) -> Any:
    value: Any = params
    for part in key.split("."):
        value = getattr(value, part)
    return value
