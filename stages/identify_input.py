"""Identify an input outside the repository, for DVC to see whether it changed."""

from pathlib import Path

from siglip2_multimodal_hash.datasets.sources import check_classes, open_source
from siglip2_multimodal_hash.entry import run_stage
from siglip2_multimodal_hash.features.checkpoint_names import identify_checkpoint
from siglip2_multimodal_hash.files import remembered_sha256, write_json
from siglip2_multimodal_hash.params import Params

DIGESTS = Path(".dvc/tmp/digests.json")


def main(params: Params, input: Path, out: Path) -> None:
    """Write digests: of a dataset's files and the list of its images, or of a checkpoint."""
    with remembered_sha256(DIGESTS) as sha256:
        if input.parts[0] == "source":
            source = open_source(params.dataset, params.runtime, out.parent)
            found = source.identify(sha256)
            # Here already, where nothing is computed yet.
            check_classes(source, params.knn)
        else:
            found = identify_checkpoint(
                params.backbone.checkpoint, params.backbone.revision, sha256
            )
    write_json(out, found)


if __name__ == "__main__":
    run_stage(main, "input", "out")
