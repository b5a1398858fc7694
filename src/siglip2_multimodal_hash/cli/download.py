"""``smhash download``."""

import argparse
import logging
from pathlib import Path

from siglip2_multimodal_hash.cli.commands import Commands, new_command
from siglip2_multimodal_hash.entry import set_up_log
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.params import load_params


def add_parser(commands: Commands) -> None:
    """Add the command."""
    parser = new_command(commands, "download", download)
    parser.add_argument("dataset", choices=["coco2014"])
    parser.add_argument(
        "--root", type=Path, metavar="FOLDER", help="target folder (default: runtime.coco_root)"
    )
    parser.add_argument("--hashnet", action="store_true", help="also fetch HashNet's lists")
    parser.add_argument(
        "--accept-changed",
        action="store_true",
        help="accept files whose size or digest changed",
    )


def download(arguments: argparse.Namespace) -> None:
    """Download the missing files of a dataset, with resume and checksums."""
    from siglip2_multimodal_hash.datasets.acquisition.coco import acquire_coco
    from siglip2_multimodal_hash.datasets.acquisition.download import Transfer

    params = load_params()
    set_up_log(params)
    logging.getLogger().setLevel(logging.INFO)
    folder = arguments.root or params.runtime.coco_root
    if not folder:
        raise InputError(
            "no folder given, and runtime.coco_root is empty",
            "smhash download coco2014 --root FOLDER",
        )
    root = Path(folder).expanduser().resolve()
    fetched = acquire_coco(
        root,
        params.runtime.download,
        Transfer.from_params(params.runtime),
        hashnet=arguments.hashnet or params.dataset.protocol == "hashnet",
        accept_changed=arguments.accept_changed,
    )
    print(f"{root}: {', '.join(fetched) if fetched else 'nothing was missing'}")
    print(f"next: smhash use coco2014 --coco-root {root}")
