"""``smhash``: what is not a stage of the pipeline."""

import argparse
from pathlib import Path
from typing import NoReturn

from siglip2_multimodal_hash.errors import InputError, run_guarded
from siglip2_multimodal_hash.files import read_json
from siglip2_multimodal_hash.params import PARAMS_FILE, load_params
from siglip2_multimodal_hash.presets import (
    apply_overrides,
    list_presets,
    load_preset,
    merge_presets,
    parse_assignment,
)
from siglip2_multimodal_hash.reporting.tables import markdown_table

METRICS_FOLDER = Path("metrics")


def main() -> NoReturn:
    """Parse the command line and run one command."""
    arguments = _parser().parse_args()
    run_guarded(lambda: arguments.run(arguments))


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


def check(_: argparse.Namespace) -> None:
    """Check params.yaml."""
    load_params()
    print(f"{PARAMS_FILE}: every parameter is known and allowed")


def table(_: argparse.Namespace) -> None:
    """Print the comparison with bounds and baselines as Markdown, mAP on test in percent."""
    params = load_params()
    folder = METRICS_FOLDER / params.dataset.name / params.backbone.name
    print(markdown_table(read_json(folder / "baselines.json")), end="")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="smhash", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("use", help=use.__doc__, description=use.__doc__)
    command.add_argument("preset", nargs="*", help="names of files in configs/presets")
    command.add_argument("--list", action="store_true", help="explain each preset")
    command.add_argument(
        "--coco-root",
        type=Path,
        metavar="FOLDER",
        help="folder with COCO's images/ and annotations/",
    )
    command.add_argument(
        "-S", "--set", action="append", default=[], metavar="KEY=VALUE", help="one more override"
    )
    command.set_defaults(run=use)
    command = commands.add_parser("check", help=check.__doc__, description=check.__doc__)
    command.set_defaults(run=check)
    command = commands.add_parser("table", help=table.__doc__, description=table.__doc__)
    command.set_defaults(run=table)
    return parser


if __name__ == "__main__":
    main()
