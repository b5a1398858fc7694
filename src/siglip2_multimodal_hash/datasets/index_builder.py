"""Construction of the index from annotations, split and file sizes."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from siglip2_multimodal_hash.datasets.annotations import Annotations, read_annotations
from siglip2_multimodal_hash.datasets.images import ImageSource
from siglip2_multimodal_hash.datasets.index import ROWS_OF, DatasetIndex, count_splits, make_index
from siglip2_multimodal_hash.datasets.items import NO_CAPTION
from siglip2_multimodal_hash.datasets.layout import find_layout
from siglip2_multimodal_hash.datasets.manifest import (
    check_images_present,
    read_manifest,
    verify_source,
)
from siglip2_multimodal_hash.datasets.split_file import SplitImage, read_split
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.params import DatasetKind, Unlabelled
from siglip2_multimodal_hash.progress import phase, track

_SHOWN = 5
# Images handed to the threads at once, so that no future waits for each of 123,000.
_CHUNK = 1024

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class IndexCounts:
    """Counts of what an index holds and what was left out.

    Attributes:
        images: Images in the index, by split, as far as the split file has it.
        unlabelled: Images without any label that the split file names, by split; they are in
            ``images`` only where they were kept.
        unlabelled_kept: Whether they were.
        outside_split: Images of the annotations that the split does not name; left out.
        crowds: Crowd annotations among all that were read; they are labels like the others.
        uncaptioned: Images in the index without a caption.
    """

    images: dict[str, int]
    unlabelled: dict[str, int]
    unlabelled_kept: bool
    outside_split: int
    crowds: int
    uncaptioned: int = 0

    def lines(self) -> list[str]:
        """Lines of the counts, for a person to read."""
        verb = "kept" if self.unlabelled_kept else "dropped"
        lines = [
            f"{split}: {self.images[split]} images "
            f"({self.unlabelled[split]} without any label {verb})"
            for split in self.images
        ]
        if self.crowds:
            lines.append(f"labels: {self.crowds} crowd annotations count like any other")
        if self.uncaptioned:
            lines.append(
                f"captions: {self.uncaptioned} images have none: the image alone stands for them, "
                "beside an empty text"
            )
        if self.outside_split:
            lines.append(
                f"left out: {self.outside_split} annotated images that the split does not name"
            )
        return lines


def index_source(
    root: Path, manifest_folder: Path, split_file: Path, unlabelled: Unlabelled
) -> tuple[DatasetIndex, IndexCounts]:
    """The index of the source at ``root``, checked against its manifest.

    The manifest is all that DVC follows of a source outside the repository, so the annotations
    are compared by digest: another release must not pass for the one that was described.

    Args:
        root: The folder that holds ``images/`` and ``annotations/``.
        manifest_folder: The folder that :func:`.manifest.describe_source` wrote into.
        split_file: The split in its normal form; see :mod:`.split_file`.
        unlabelled: See :func:`build_index`.

    Raises:
        DataError: A file is missing or damaged, or two contradict each other.
    """
    annotations, image_bytes = read_source(root, manifest_folder)
    return build_index(annotations, read_split(split_file), image_bytes, unlabelled)


def read_source(
    root: Path,
    manifest_folder: Path,
    kind: DatasetKind = "coco2014",
    read: Callable[[], Annotations] | None = None,
) -> tuple[Annotations, Mapping[str, int]]:
    """Annotations and sizes of image files of the source; see :func:`index_source`.

    Args:
        root: The source.
        manifest_folder: The folder of its manifest.
        kind: ``dataset.kind``.
        read: Reads the annotations; None: as of COCO 2014.

    Raises:
        DataError: A file is missing or damaged, or two contradict each other.
    """
    manifest = read_manifest(manifest_folder)
    with phase("source against its manifest"):
        verify_source(root, manifest, kind=kind, digests=True)
    with phase("annotations"):
        annotations = read() if read else read_annotations(find_layout(root))
    return annotations, manifest.image_bytes()


def assign_splits(annotations: Annotations, split: Sequence[SplitImage]) -> dict[int, str]:
    """The split of each image id.

    Images of the annotations that ``split`` does not name are not an error, and not in the result.

    Raises:
        DataError: ``split`` names an image that the annotations do not have, or gives it another
            file name than they do.
    """
    names = dict(zip(annotations.image_ids.tolist(), annotations.file_names, strict=True))
    unknown = [image.cocoid for image in split if image.cocoid not in names]
    if unknown:
        raise DataError(
            f"split file: {len(unknown)} image(s) are not in the annotations, the first: "
            f"{', '.join(f'cocoid {cocoid}' for cocoid in unknown[:_SHOWN])}",
            "the split needs the complete annotations of all its images",
        )
    for image in split:
        if image.file_name != names[image.cocoid]:
            raise DataError(
                f"split file: cocoid {image.cocoid} is {image.file_name!r}, but the "
                f"annotations name it {names[image.cocoid]!r}",
                "the split and the annotations are not of one release: fetch both again",
            )
    return {image.cocoid: image.split for image in split}


def check_splits(index: DatasetIndex, remedy: str) -> None:
    """Make sure that no split is empty.

    Raises:
        DataError: One is; the message names it.
    """
    for split in ROWS_OF:
        if not index.rows(split).size:
            raise DataError(f"no image is left in split {split}", remedy)


def build_index(
    annotations: Annotations,
    split: Sequence[SplitImage],
    image_bytes: Mapping[str, int],
    unlabelled: Unlabelled,
) -> tuple[DatasetIndex, IndexCounts]:
    """The index of the images that the split names.

    Args:
        annotations: N images, their captions and labels.
        split: The images of the split file.
        image_bytes: The size of each image file, by its name under ``images/``.
        unlabelled: Whether to keep the images without any label, in all splits alike.

    Raises:
        DataError: Split and annotations contradict each other, image files are missing, or
            one of train, val and test would be empty.
    """
    split_of = assign_splits(annotations, split)
    splits = np.array([split_of.get(image_id, "") for image_id in annotations.image_ids.tolist()])
    named = splits != ""
    bare = named & ~annotations.labels.any(axis=1)
    kept = named if unlabelled == "keep" else named & ~bare
    rows = np.flatnonzero(kept)
    file_names = [annotations.file_names[row] for row in rows]
    check_images_present(file_names, image_bytes)
    index = make_index(
        {
            "image_id": annotations.image_ids[rows],
            "file_name": file_names,
            "split": splits[rows],
            "width": annotations.widths[rows],
            "height": annotations.heights[rows],
            "bytes": [image_bytes[name] for name in file_names],
        },
        [annotations.captions[row] or NO_CAPTION for row in rows],
        annotations.labels[rows],
        annotations.category_ids,
        annotations.category_names,
    )
    check_splits(index, "set dataset.unlabelled to keep, or use the complete dataset")
    images, without = (count_splits(splits[rows].tolist()) for rows in (kept, bare))
    present = count_splits(splits[named].tolist())
    counts = IndexCounts(
        images={name: images.get(name, 0) for name in present},
        unlabelled={name: without.get(name, 0) for name in present},
        unlabelled_kept=unlabelled == "keep",
        outside_split=int((~named).sum()),
        crowds=annotations.crowds,
        uncaptioned=index.uncaptioned(),
    )
    return index, counts


def leave_out_unreadable(index: DatasetIndex, images: ImageSource, workers: int) -> DatasetIndex:
    """The rows of an index whose images can be decoded; every other one is logged with its reason.

    For ``dataset.on_corrupt: drop``. Otherwise nothing is decoded here: the embedding pass decodes
    every image anyhow, and names all that it could not read.

    Args:
        index: N images.
        images: Source of the image files.
        workers: Threads that decode; 0 decodes in this one.

    Raises:
        DataError: No image is left in one of train, val and test.
    """
    names = index.frame["file_name"].tolist()
    reasons = find_unreadable(images, names, workers)
    if not reasons:
        _log.info("all %s images can be read", f"{len(names):,}")
        return index
    for reason in reasons.values():
        _log.warning("left out: %s", reason)
    bad = index.frame["file_name"].isin(list(reasons))
    by_split = count_splits(index.frame.loc[bad, "split"].tolist())
    _log.warning(
        "left out: %d of %s images, which cannot be read (%s)",
        len(reasons),
        f"{len(names):,}",
        ", ".join(f"{split} {count}" for split, count in by_split.items()),
    )
    frame = index.frame[~np.asarray(bad)].reset_index(drop=True)
    kept = DatasetIndex(frame, index.category_ids, index.category_names)
    check_splits(kept, "fetch the damaged images again, or use the complete dataset")
    return kept


def find_unreadable(images: ImageSource, names: Sequence[str], workers: int) -> dict[str, str]:
    """The names of the images that cannot be decoded, in order, each with the reason in one line.

    Args:
        images: Source of the image files.
        names: Names under ``images/``.
        workers: Threads that decode; 0 decodes in this one.
    """
    lock = threading.Lock()

    def reason(name: str) -> str:
        try:
            # zipfile's handles are not safe to share between threads before Python 3.13.
            with lock:
                data = images.read(name)
            images.decode(data, name)
        except DataError as error:
            return str(error).splitlines()[0]
        return ""

    if workers == 0:
        decoded = track(names, "images that decode", "image")
        return {name: found for name in decoded if (found := reason(name))}
    bad: dict[str, str] = {}
    with (
        ThreadPoolExecutor(workers, thread_name_prefix="decoder") as pool,
        phase("images that decode", len(names), "image") as progress,
    ):
        for start in range(0, len(names), _CHUNK):
            chunk = names[start : start + _CHUNK]
            bad |= {
                n: found for n, found in zip(chunk, pool.map(reason, chunk), strict=True) if found
            }
            progress.update(len(chunk))
    return bad
