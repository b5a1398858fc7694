"""``smhash use``."""

import argparse
from pathlib import Path

from siglip2_multimodal_hash.cli.commands import Commands, new_command
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.params import OWN_KINDS, PARAMS_FILE, Params
from siglip2_multimodal_hash.presets import (
    apply_overrides,
    list_presets,
    load_preset,
    merge_limits,
    merge_presets,
    parse_assignment,
)


def add_parser(commands: Commands) -> None:
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
        "--root",
        type=Path,
        metavar="FOLDER",
        help="folder of your own dataset, with folder or coco_json",
    )
    parser.add_argument("--name", help="name of its data and results")
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
            print(f"{preset.name:<{width}}  {preset.kind:<8}  {preset.description}")
        return
    chosen = [load_preset(name) for name in arguments.preset]
    overrides, at_most = merge_presets(chosen), merge_limits(chosen)
    if arguments.coco_root is not None:
        overrides["runtime.coco_root"] = str(arguments.coco_root.expanduser().resolve())
    if arguments.root is not None:
        overrides["runtime.dataset_root"] = str(arguments.root.expanduser().resolve())
    if arguments.name is not None:
        overrides["dataset.name"] = arguments.name
    by_hand = dict(parse_assignment(text) for text in arguments.set)
    overrides |= by_hand
    if not overrides:
        raise InputError("nothing to do: no preset is named", "smhash use --list shows them")
    # Whoever names a value means it.
    at_most = {key: limit for key, limit in at_most.items() if key not in by_hand}
    check = _check_dataset if arguments.root is not None else None
    change = apply_overrides(PARAMS_FILE, overrides, at_most, check)
    print(change or "params.yaml: nothing to change")


def _check_dataset(params: Params) -> None:
    """Look at the dataset at once, not at the first run."""
    if params.dataset.kind not in OWN_KINDS:
        raise InputError(
            f"--root: not with dataset.kind = {params.dataset.kind}",
            "smhash use folder --root FOLDER --name NAME, or coco_json; COCO 2014 has --coco-root",
        )
    # Other presets need not wait for pandas.
    from siglip2_multimodal_hash.datasets.sources import check_classes, open_source

    source = open_source(params.dataset, params.runtime, Path("data"))
    source.prepare()
    check_classes(source, params.knn)
