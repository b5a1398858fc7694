"""COCO 2014 on disk, and mojicoco, which is rendered in its form."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from siglip2_multimodal_hash.datasets.acquisition import fetch_missing
from siglip2_multimodal_hash.datasets.annotations import Annotations, read_annotations
from siglip2_multimodal_hash.datasets.layout import find_layout
from siglip2_multimodal_hash.datasets.manifest import scan_source
from siglip2_multimodal_hash.datasets.mojicoco import generate_mojicoco
from siglip2_multimodal_hash.datasets.protocols import SplitCounts, write_protocol_split
from siglip2_multimodal_hash.params import DatasetParams, RuntimeParams


@dataclass(frozen=True)
class Coco2014:
    """See :class:`.sources.DatasetSource`, whose methods these are."""

    root: Path
    dataset: DatasetParams
    runtime: RuntimeParams

    def identify(self, sha256: Callable[[Path], str]) -> Any:
        """Digests of the files, and of the list of the images."""
        # Before prepare_dataset does: what it is to fetch belongs to the source.
        self.prepare()
        return scan_source(self.root, sha256).description()

    def class_count(self) -> int | None:
        """Unknown."""
        return None

    def prepare(self) -> None:
        """Fetch what is missing, where ``runtime.download.enabled`` allows it."""
        fetch_missing(self.runtime, hashnet=self.dataset.protocol == "hashnet")

    def write_split(self, target: Path) -> SplitCounts:
        """The split of ``dataset.protocol``."""
        if self.dataset.kind == "coco2014":
            self.prepare()
        return write_protocol_split(
            self.dataset.protocol,
            self.root,
            target,
            val_images=self.dataset.val_slice.images,
            seed=self.dataset.val_slice.seed,
            whole_coco=self.dataset.kind == "coco2014",
        )

    def annotations(self) -> Annotations:
        """All four files."""
        return read_annotations(find_layout(self.root))


class Mojicoco(Coco2014):
    """Rendered into the output of ``prepare_dataset``."""

    def identify(self, sha256: Callable[[Path], str]) -> Any:
        """Always the same word: its parameters are all that it depends on."""
        return "rendered by the stage prepare_dataset"

    def prepare(self) -> None:
        """Render it."""
        scenes = self.dataset.mojicoco
        generate_mojicoco(
            self.root,
            train=scenes.train,
            restval=scenes.restval,
            val=scenes.val,
            test=scenes.test,
            image_size=scenes.image_size,
            seed=scenes.seed,
            workers=max(1, self.runtime.dataloader.num_workers),
        )
