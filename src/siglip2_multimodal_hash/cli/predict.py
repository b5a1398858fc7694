"""``smhash predict``."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from siglip2_multimodal_hash.cli.commands import (
    Commands,
    add_format,
    at_least,
    new_command,
    path_argument,
    print_json,
    show,
)
from siglip2_multimodal_hash.datasets.layout import source_root
from siglip2_multimodal_hash.entry import set_up
from siglip2_multimodal_hash.errors import EXIT_BAD_INPUT, InputError
from siglip2_multimodal_hash.files import require_free
from siglip2_multimodal_hash.params import (
    IMPORTED,
    OWN_KINDS,
    PARAMS_FILE,
    KnnParams,
    Params,
    load_params,
    parse_params,
)

if TYPE_CHECKING:
    from siglip2_multimodal_hash.prediction.answer import Answer

DATA_FOLDER, OUTPUTS_FOLDER = Path("data"), Path("outputs")


def add_parser(commands: Commands) -> None:
    """Add the command."""
    parser = new_command(commands, "predict", predict)
    parser.add_argument(
        "paths",
        nargs="+",
        type=path_argument,
        metavar="PATH",
        help="photos (JPEG, PNG, WebP) or folders",
    )
    parser.add_argument(
        "--caption", metavar="TEXT", help="caption of the photo; only with a single photo"
    )
    parser.add_argument(
        "--k", type=int, metavar="K", help="number of neighbours that vote (default: knn.K)"
    )
    parser.add_argument(
        "--top",
        type=at_least(1),
        metavar="N",
        help="number of tags shown per predictor (default: knn.top_n_tags)",
    )
    parser.add_argument("--all", action="store_true", help="show every neighbour that voted")
    add_format(parser)
    parser.add_argument("--json", action="store_true", help="print a list, one object per photo")
    parser.add_argument(
        "--explain",
        type=path_argument,
        metavar="HTML",
        help="write a page with the photos and neighbours",
    )


def predict(arguments: argparse.Namespace) -> None:
    """Tag your own photos with the trained head of params.yaml's dataset and backbone."""
    params = load_params()
    set_up(params)
    if params.backbone.checkpoint == IMPORTED:
        raise InputError(
            f"backbone.checkpoint = {IMPORTED}: imported features come without their towers, so "
            "no photo can be embedded",
            "`smhash use siglip2-tiny && dvc repro`, or another backbone",
        )
    knn = _knn(params, arguments.k)
    top = params.knn.top_n_tags if arguments.top is None else arguments.top
    from siglip2_multimodal_hash.prediction.outputs import RunOutputs
    from siglip2_multimodal_hash.prediction.photos import find_photos

    files, failures = find_photos(arguments.paths)
    data = DATA_FOLDER / params.dataset.name
    made = OUTPUTS_FOLDER / params.dataset.name / params.backbone.name
    kind = params.dataset.kind
    root = source_root(kind, data / "source", params.runtime)
    own = [root] if kind in OWN_KINDS else [root / "images", root / "annotations"]
    inputs = [*files, PARAMS_FILE, data, made, *own]
    if arguments.explain is not None:
        require_free(arguments.explain, inputs=inputs)
    if arguments.caption is not None and len(files) > 1:
        raise InputError(
            f"--caption is for a single photo, but there are {len(files)}", "name one file per call"
        )
    outputs = RunOutputs.of(data, made)
    # After the cheap refusals: these take seconds.
    from siglip2_multimodal_hash.datasets.images import open_image_source
    from siglip2_multimodal_hash.prediction.answer import answer
    from siglip2_multimodal_hash.prediction.page import write_page
    from siglip2_multimodal_hash.prediction.text import as_json

    found = answer(params, knn, files, arguments.caption, top, outputs)
    if arguments.json:
        print_json([as_json(one) for one in found.predictions])
        for note in found.notes:
            print(f"note: {note}", file=sys.stderr)
    else:
        _show(found, params, arguments)
    if arguments.explain is not None and found.predictions:
        images = open_image_source(root, kind)
        write_page(arguments.explain, found.predictions, found.notes, images, inputs)
        print(f"explained in {arguments.explain}", file=sys.stderr)
    for failure in (*failures, *found.failures):
        print(f"error: {failure}", file=sys.stderr)
    if failures or found.failures:
        sys.exit(EXIT_BAD_INPUT)


def _show(found: "Answer", params: Params, arguments: argparse.Namespace) -> None:
    """Print the answer; nothing where no photo could be read."""
    from siglip2_multimodal_hash.experiments.provenance import workspace_footer
    from siglip2_multimodal_hash.prediction.text import prediction_parts

    parts = [
        part
        for one in found.predictions
        for part in prediction_parts(one, everything=arguments.all)
    ]
    parts += [f"note: {note}" for note in found.notes]
    if parts:
        database = "database" if params.dataset.protocol == "hashnet" else "train"
        show([*parts, workspace_footer(params, split=database)], arguments.format)


def _knn(params: Params, k: int | None) -> KnnParams:
    """The section ``knn``, with the number of neighbours that the user asks for.

    Raises:
        ParamsError: ``k`` is none that ``knn.K`` may have.
    """
    if k is None:
        return params.knn
    changed = params.model_dump()
    changed["knn"]["K"] = k
    return parse_params(changed, source="--k").knn
