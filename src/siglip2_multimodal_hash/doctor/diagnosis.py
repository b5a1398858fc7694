"""All checks together, as text for people and as JSON for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from siglip2_multimodal_hash.doctor.checklist import check_disk, check_list, check_memory
from siglip2_multimodal_hash.doctor.checkpoints import (
    Checkpoint,
    check_checkpoint,
    check_revision,
    check_trained_on,
)
from siglip2_multimodal_hash.doctor.data import check_dataset
from siglip2_multimodal_hash.doctor.environment import (
    check_device_memory,
    check_faiss,
    check_kernels,
    check_libraries,
    check_precision,
    check_products,
    check_python,
    check_ray,
    check_torch,
    check_trackers,
)
from siglip2_multimodal_hash.doctor.findings import Finding, Status, fail_with, worst
from siglip2_multimodal_hash.doctor.hardware import check_hardware_preset
from siglip2_multimodal_hash.doctor.imported import check_imported
from siglip2_multimodal_hash.doctor.machine import Machine
from siglip2_multimodal_hash.doctor.repository import Repository, check_repository
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.memory.needs import run_needs
from siglip2_multimodal_hash.memory.towers import tower_sizes
from siglip2_multimodal_hash.params import IMPORTED, Params
from siglip2_multimodal_hash.presets import Preset

SOURCES = Path("data")
"""Path of a dataset's source in dvc.yaml: ``data/NAME/source``."""


@dataclass(frozen=True)
class Facts:
    """Facts to judge: the machine, the repository, the checkpoint and the known presets."""

    machine: Machine
    repository: Repository
    checkpoint: Checkpoint
    presets: Sequence[Preset]


def diagnose(params: Params, facts: Facts, sources: Path = SOURCES) -> list[Finding]:
    """Every check, from what all stages need to what would make them better.

    Args:
        params: In force.
        facts: Facts to judge.
        sources: The folder of the datasets.
    """
    machine = facts.machine
    return [
        check_python(machine),
        check_torch(machine, params),
        check_precision(machine, params),
        check_device_memory(machine, params),
        check_faiss(machine, params),
        check_libraries(machine),
        check_kernels(machine),
        check_products(machine),
        *check_ray(params),
        *check_trackers(params),
        check_repository(facts.repository),
        *check_dataset(params, sources / params.dataset.name / "source", artwork=machine.artwork),
        *_check_features(params, facts),
        check_hardware_preset(machine, params, facts.presets),
        *_check_needs(params, facts),
    ]


def _check_features(params: Params, facts: Facts) -> list[Finding]:
    name, checkpoint = params.backbone.checkpoint, facts.checkpoint
    if name == IMPORTED:
        return [check_imported(checkpoint)]
    unsuited = check_trained_on(name, checkpoint, params.dataset.name)
    pins = {
        preset.overrides["backbone.checkpoint"]: preset.overrides["backbone.revision"]
        for preset in facts.presets
        if preset.kind == "backbone"
    }
    return [
        unsuited or check_checkpoint(params.backbone, checkpoint),
        *check_revision(params.backbone, checkpoint, pins),
    ]


def _check_needs(params: Params, facts: Facts) -> list[Finding]:
    """Check what follows from the sizes of towers, head and dataset."""
    machine, checkpoint = facts.machine, facts.checkpoint
    cuda = machine.device(params.runtime.device) == "cuda"
    try:
        towers = tower_sizes(params.backbone, checkpoint.config, checkpoint.weights)
        needs = run_needs(params, towers, cuda=cuda)
    # The towers' widths do not suit the fusion.
    except InputError as error:
        return [fail_with("fusion", error)]
    return [
        *check_memory(machine, params, needs),
        check_disk(machine, needs, checkpoint.download),
        *check_list(machine, params, needs, towers),
    ]


def as_text(findings: Sequence[Finding]) -> str:
    """One line per finding and one per remedy; the verdict at the end."""
    width = max(len(one.name) for one in findings)
    lines = []
    for one in findings:
        lines.append(f"{one.status:<4}  {one.name:<{width}}  {one.finding}")
        if one.remedy:
            lines.append(f"{'':<4}  {'':<{width}}  -> {one.remedy}")
    counts = {status: sum(one.status == status for one in findings) for status in _VERDICTS}
    lines.append(
        f"{counts['ok']} ok, {counts['warn']} warn, {counts['fail']} fail: "
        + _VERDICTS[worst(findings)]
    )
    return "\n".join(lines)


def as_json(findings: Sequence[Finding], facts: Facts) -> str:
    """One object: ``status`` (the worst), ``checks``, and the ``machine`` that they judged."""
    machine: dict[str, Any] = asdict(facts.machine)
    features = facts.machine.cpu_features
    machine["cpu_features"] = None if features is None else sorted(features)
    content = {
        "status": worst(findings),
        "checks": [asdict(one) for one in findings],
        "machine": machine,
    }
    return json.dumps(content, indent=2)


_VERDICTS: dict[Status, str] = {
    "ok": "`dvc repro` has what it needs",
    "warn": "`dvc repro` will run",
    "fail": "`dvc repro` will stop",
}
