"""Instances and captions files in COCO's JSON, of any year and any categories."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from siglip2_multimodal_hash.datasets.annotations import Annotations, read_annotations
from siglip2_multimodal_hash.datasets.layout import find_json_layout, own_split_file
from siglip2_multimodal_hash.datasets.manifest import (
    check_images_present,
    list_images,
    scan_source,
)
from siglip2_multimodal_hash.datasets.protocols import (
    SplitCounts,
    check_own_split,
    own_split,
    write_own_split,
)
from siglip2_multimodal_hash.datasets.split_file import SplitImage, read_split
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.params import DatasetParams, RuntimeParams

_REMEDY = "correct the split file, or leave it out for a seeded split"


@dataclass(frozen=True)
class CocoJson:
    """See :class:`.sources.DatasetSource`, whose methods these are."""

    root: Path
    dataset: DatasetParams
    runtime: RuntimeParams

    def identify(self, sha256: Callable[[Path], str]) -> Any:
        """Digests of the files, and of the list of the images."""
        return scan_source(self.root, sha256, kind="coco_json").description()

    def class_count(self) -> int | None:
        """Unknown until all is read, which may take a minute."""
        return None

    def prepare(self) -> None:
        """Read all of it once, so that what is wrong is known before anything is computed."""
        found = self.annotations()
        check_images_present(found.file_names, list_images(find_json_layout(self.root).images))
        split = self._split(found)
        labels = dict(zip(found.image_ids.tolist(), found.labels, strict=True))
        check_own_split(self.root, split, labels, found.category_names, _REMEDY, listed=True)

    def write_split(self, target: Path) -> SplitCounts:
        """The split of the file, or a seeded one."""
        return write_own_split(target, self._split(self.annotations()))

    def annotations(self) -> Annotations:
        """All files; an image may have no caption."""
        return read_annotations(find_json_layout(self.root), captioned=False)

    def _split(self, found: Annotations) -> tuple[SplitImage, ...]:
        path = own_split_file(self.root)
        given = {}
        if path is not None:
            given = {one.cocoid: one.split for one in read_split(path, remedy=_REMEDY)}
        stray = sorted(given.keys() - set(found.image_ids.tolist()))
        if stray:
            raise DataError(
                f"{path}: {len(stray)} image(s) are not in the annotations, the first: cocoid "
                f"{stray[0]}",
                _REMEDY,
            )
        images = list(zip(found.image_ids.tolist(), found.file_names, strict=True))
        return own_split(images, given, self.dataset.val_slice.seed)
