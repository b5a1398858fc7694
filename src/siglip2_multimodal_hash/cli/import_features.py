"""``smhash import-features``."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from siglip2_multimodal_hash.cli.commands import Commands, new_command
from siglip2_multimodal_hash.entry import set_up_log
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.files import require_free
from siglip2_multimodal_hash.params import (
    IMPORTED,
    PARAMS_FILE,
    Params,
    load_params,
    settings_for_widths,
)
from siglip2_multimodal_hash.presets import apply_overrides, list_presets, override_text

if TYPE_CHECKING:
    from siglip2_multimodal_hash.features.imported.importer import Imported
    from siglip2_multimodal_hash.features.imported.sources import Source

DATA_FOLDER = Path("data")


def add_parser(commands: Commands) -> None:
    """Add the command."""
    parser = new_command(commands, "import-features", import_features)
    parser.add_argument(
        "source",
        nargs="?",
        type=Path,
        metavar="SOURCE",
        help="folder in clip-retrieval's layout: img_emb/, text_emb/, metadata/",
    )
    parser.add_argument(
        "--name", required=True, help="name of the features and of their outputs' folder"
    )
    for kind in ("image", "caption"):
        parser.add_argument(
            f"--{kind}", type=Path, metavar="NPY", help=f"{kind} features, one row per id"
        )
        parser.add_argument(
            f"--{kind}-ids", type=Path, metavar="FILE", help="their ids: .txt, .csv, .npy, .parquet"
        )
    parser.add_argument(
        "--id-column",
        metavar="NAME",
        help="column of SOURCE's metadata, or of a .csv or .parquet, that holds the ids "
        "(default: the one whose ids match)",
    )
    parser.add_argument(
        "--prompts",
        type=Path,
        metavar="NPY",
        help="class prompts, one row per class, by ascending category id",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="target folder (default: data/DATASET/features)"
    )


def import_features(arguments: argparse.Namespace) -> None:
    """Import the dataset's features from other towers, and select them in params.yaml."""
    params = load_params()
    set_up_log(params)
    _check_name(arguments.name)
    require_free(PARAMS_FILE)
    from siglip2_multimodal_hash.datasets.items import read_items
    from siglip2_multimodal_hash.features.imported import importer

    data = DATA_FOLDER / params.dataset.name
    items = read_items(data / "items.parquet")
    imported = importer.import_features(_read(arguments), items, arguments.out or data / "features")
    print(*imported.lines, sep="\n")
    print(f"features: {imported.folder}")
    change = apply_overrides(
        PARAMS_FILE, _overrides(arguments.name, imported.digest, imported.folder)
    )
    print(change or "params.yaml: nothing to change")
    print("next:", *_next(params, imported))


def _read(arguments: argparse.Namespace) -> "Source":
    from dataclasses import replace

    from siglip2_multimodal_hash.features.imported.matrices import open_matrix
    from siglip2_multimodal_hash.features.imported.sources import read_clip_retrieval, read_plain

    plain = (arguments.image, arguments.image_ids, arguments.caption, arguments.caption_ids)
    if arguments.source is None:
        source = read_plain(*plain, arguments.id_column)
    elif any(plain):
        raise InputError(
            "both SOURCE and plain arrays are given",
            "give the folder, or --image and --caption with their ids",
        )
    else:
        source = read_clip_retrieval(arguments.source, arguments.id_column)
    if arguments.prompts is None:
        return source
    return replace(source, prompts=open_matrix([arguments.prompts]))


def _check_name(name: str) -> None:
    """Refuse what params.yaml would not take, before the work and not after it.

    Raises:
        InputError: The name is not one, or that of a preset's towers.
    """
    for preset in list_presets():
        if preset.overrides.get("backbone.name") == name:
            raise InputError(
                f"--name {name}: the outputs of the preset {preset.name!r} go by that name",
                "choose another one",
            )
    text = PARAMS_FILE.read_text(encoding="utf-8")
    override_text(text, _overrides(name, "0" * 64, Path.cwd()), source="--name")


def _overrides(name: str, digest: str, folder: Path) -> dict[str, str]:
    return {
        "backbone.name": name,
        "backbone.checkpoint": IMPORTED,
        "backbone.revision": digest,
        "runtime.features_folder": str(folder),
    }


def _next(params: Params, imported: "Imported") -> list[str]:
    """The commands that lead on from here."""
    widths = imported.image_dim, imported.caption_dim
    needed = settings_for_widths(params.fusion, params.loss.cosine_weight, *widths)
    if not needed:
        return ["dvc repro"]
    return ["smhash use", *(f"-S {key}={value}" for key, value in needed.items()), "&& dvc repro"]
