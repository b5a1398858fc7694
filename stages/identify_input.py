"""Identify an input outside the repository, for DVC to see whether it changed."""

from pathlib import Path

from siglip2_multimodal_hash.datasets.acquisition import fetch_missing
from siglip2_multimodal_hash.datasets.manifest import scan_source
from siglip2_multimodal_hash.entry import run_stage
from siglip2_multimodal_hash.features.checkpoint_names import identify_checkpoint
from siglip2_multimodal_hash.files import remembered_sha256, write_json
from siglip2_multimodal_hash.params import Params

DIGESTS = Path(".dvc/tmp/digests.json")


def main(params: Params, input: Path, out: Path) -> None:
    """Write digests: of COCO's files and the list of its images, or of a checkpoint."""
    with remembered_sha256(DIGESTS) as sha256:
        if input.parts[0] == "source":
            # Before prepare_dataset does: what it is to fetch belongs to the source.
            fetch_missing(params.runtime, hashnet=params.dataset.protocol == "hashnet")
            found = scan_source(Path(params.runtime.coco_root), sha256).description()
        else:
            found = identify_checkpoint(
                params.backbone.checkpoint, params.backbone.revision, sha256
            )
    write_json(out, found)


if __name__ == "__main__":
    run_stage(main, "input", "out")
