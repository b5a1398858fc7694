"""``smhash use``."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from siglip2_multimodal_hash.cli.commands import new_command
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.params import PARAMS_FILE
from siglip2_multimodal_hash.presets import (
    apply_overrides,
    list_presets,
    load_preset,
    merge_presets,
    parse_assignment,
)

if TYPE_CHECKING:
    from siglip2_multimodal_hash.cli.commands import Commands


def add_parser(commands: "Commands") -> None:
    """Add the command."""
    parser = new_command(commands, "use", use)
    parser.add_argument("preset", nargs="*", help="names of files in configs/presets")
    parser.add_argument("--list", action="store_true", help="explain each preset")
    parser.add_argument(
        "--coco-root",
        type=Path,
        metavar="FOLDER",
        help="folder with COCO's images/ and annotations/",
    )
    parser.add_argument(
        "-S", "--set", action="append", default=[], metavar="KEY=VALUE", help="one more override"
    )


def use(arguments: argparse.Namespace) -> None:
    """Write presets into params.yaml and show the change."""
    if arguments.list:
        presets = list_presets()
        if not presets:
            raise InputError("no preset is here", "run from the root of the project")
        width = max(len(preset.name) for preset in presets)
        for preset in presets:
            print(f"{preset.name:<{width}}  {preset.description}")
        return
    overrides = merge_presets(load_preset(name) for name in arguments.preset)
    if arguments.coco_root is not None:
        overrides["runtime.coco_root"] = str(arguments.coco_root.expanduser().resolve())
    overrides.update(parse_assignment(text) for text in arguments.set)
    if not overrides:
        raise InputError("nothing to do: no preset is named", "smhash use --list shows them")
    print(apply_overrides(PARAMS_FILE, overrides) or "params.yaml: nothing to change")
