"""``smhash doctor``."""

import argparse
import sys
from pathlib import Path

from siglip2_multimodal_hash.cli.commands import Commands, new_command
from siglip2_multimodal_hash.params import IMPORTED, load_params
from siglip2_multimodal_hash.presets import list_presets

EXIT_FAILED_CHECK = 1


def add_parser(commands: Commands) -> None:
    """Add the command."""
    parser = new_command(commands, "doctor", doctor, f"{EXIT_FAILED_CHECK} if a check fails")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--load",
        action="store_true",
        help="also run an image and a caption through the towers, and report time and memory",
    )


def doctor(arguments: argparse.Namespace) -> None:
    """Check that this machine has what the dataset, backbone and hardware settings need."""
    params = load_params()
    # Other commands need not wait for what this one loads.
    from huggingface_hub import constants

    from siglip2_multimodal_hash.doctor.checkpoints import look_up
    from siglip2_multimodal_hash.doctor.diagnosis import Facts, as_json, as_text, diagnose
    from siglip2_multimodal_hash.doctor.findings import worst
    from siglip2_multimodal_hash.doctor.gathering import gather_machine
    from siglip2_multimodal_hash.doctor.imported import look_up_imported
    from siglip2_multimodal_hash.doctor.repository import look_at_repository

    project = Path.cwd()
    facts = Facts(
        gather_machine(project),
        look_at_repository(project),
        look_up_imported(params)
        if params.backbone.checkpoint == IMPORTED
        else look_up(params.backbone, offline=constants.HF_HUB_OFFLINE),
        list_presets(),
    )
    findings = diagnose(params, facts)
    if arguments.load:
        from siglip2_multimodal_hash.doctor.loading import check_loading

        findings.append(check_loading(params, facts.checkpoint))
    print(as_json(findings, facts) if arguments.json else as_text(findings))
    if worst(findings) == "fail":
        sys.exit(EXIT_FAILED_CHECK)
