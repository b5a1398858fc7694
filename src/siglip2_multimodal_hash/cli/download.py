"""``smhash download``."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from siglip2_multimodal_hash.cli.commands import new_command
from siglip2_multimodal_hash.entry import set_up_log
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.params import load_params

if TYPE_CHECKING:
    from siglip2_multimodal_hash.cli.commands import Commands


def add_parser(commands: "Commands") -> None:
    """Add the command."""
    parser = new_command(commands, "download", download)
    parser.add_argument("dataset", choices=["coco2014"], help="20.4 GB to fetch, 21.2 GB on disk")
    parser.add_argument(
        "--root", type=Path, metavar="FOLDER", help="where to (default: runtime.coco_root)"
    )
    parser.add_argument("--hashnet", action="store_true", help="the lists of HashNet's split, too")
    parser.add_argument("--dry-run", action="store_true", help="say what is missing, fetch nothing")
    parser.add_argument(
        "--accept-changed",
        action="store_true",
        help="take files whose size or digest differs from the known one",
    )


def download(arguments: argparse.Namespace) -> None:
    """Fetch what is missing of a dataset; an interrupted download is resumed."""
    from siglip2_multimodal_hash.datasets.acquisition.coco import Acquisition
    from siglip2_multimodal_hash.datasets.acquisition.pieces import COCO, HASHNET

    params = load_params()
    set_up_log(params)
    root: Path | None = arguments.root
    if root is None and params.runtime.coco_root:
        root = Path(params.runtime.coco_root)
    if root is None:
        raise InputError(
            "no folder is named: runtime.coco_root is empty",
            "smhash download coco2014 --root FOLDER",
        )
    root = root.expanduser().absolute()
    lists = arguments.hashnet or str(params.dataset.protocol) == "hashnet"
    pieces = (*COCO, *HASHNET) if lists else COCO
    acquisition = Acquisition(
        root,
        params.runtime.download,
        progress=params.runtime.logging.progress,
        accept_changed=arguments.accept_changed,
    )
    missing = acquisition.missing(pieces)
    if arguments.dry_run and missing:
        print(acquisition.describe(missing))
        return
    acquisition.fetch(missing)
    print(f"{root}: COCO 2014 is complete")
    if params.runtime.coco_root != str(root):
        print(f"  -> smhash use coco2014 --coco-root {root}")
