"""Kinds of datasets: one module each, which identifies, prepares, splits and describes its own.

Where the files of a kind lie is a row in :mod:`.layout`; what becomes of its images, captions,
labels, classes and split is the same for all, in :mod:`.index_builder`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from siglip2_multimodal_hash.datasets.annotations import Annotations
from siglip2_multimodal_hash.datasets.coco import Coco2014, Mojicoco
from siglip2_multimodal_hash.datasets.coco_json import CocoJson
from siglip2_multimodal_hash.datasets.folder import PhotoFolder
from siglip2_multimodal_hash.datasets.layout import source_root
from siglip2_multimodal_hash.datasets.protocols import SplitCounts
from siglip2_multimodal_hash.params import (
    DatasetKind,
    DatasetParams,
    KnnParams,
    RuntimeParams,
    check_tag_count,
)


class DatasetSource(Protocol):
    """A dataset where it lies; each method raises ``DataError`` where it breaks a rule."""

    @property
    def root(self) -> Path:
        """The folder of its files."""

    def identify(self, sha256: Callable[[Path], str]) -> Any:
        """JSON that changes where the source does; metadata that are quick to read are checked.

        Args:
            sha256: Of a file, in hex.
        """

    def class_count(self) -> int | None:
        """The number of classes; None where that takes long to find out."""

    def prepare(self) -> None:
        """Render or fetch what is missing, and check the metadata."""

    def write_split(self, target: Path) -> SplitCounts:
        """Write the split file, see :mod:`.split_file`."""

    def annotations(self) -> Annotations:
        """Images, captions, labels and classes."""


_SOURCES: dict[DatasetKind, Callable[[Path, DatasetParams, RuntimeParams], DatasetSource]] = {
    "mojicoco": Mojicoco,
    "coco2014": Coco2014,
    "coco_json": CocoJson,
    "folder": PhotoFolder,
}


def open_source(dataset: DatasetParams, runtime: RuntimeParams, folder: Path) -> DatasetSource:
    """The dataset of the parameters.

    Args:
        dataset: The section.
        runtime: The roots, and how to fetch or render.
        folder: Output of the stage ``prepare_dataset``.
    """
    root = source_root(dataset.kind, folder, runtime)
    return _SOURCES[dataset.kind](root, dataset, runtime)


def check_classes(source: DatasetSource, knn: KnnParams) -> int | None:
    """Check metadata that are quick to read, and that there are enough classes to tag with.

    Returns:
        The number of classes; None where that takes long to find out.

    Raises:
        InputError: The metadata break a rule, or ``knn.top_n_tags`` exceeds the classes.
    """
    classes = source.class_count()
    if classes is not None:
        check_tag_count(knn.top_n_tags, classes)
    return classes
