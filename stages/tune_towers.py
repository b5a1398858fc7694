"""Tune the towers end to end with a copy of the head, where backbone.tune asks for it."""

from pathlib import Path

from siglip2_multimodal_hash.entry import run_stage
from siglip2_multimodal_hash.features.tuned import leave_frozen
from siglip2_multimodal_hash.params import Params


def main(params: Params, source: Path, index: Path, out: Path) -> None:
    """Write the tuned checkpoint, or word that the towers stay as they are."""
    if params.backbone.tune == "frozen":
        leave_frozen(out)
        return
    # Here, so that a frozen run does not wait for PyTorch.
    from siglip2_multimodal_hash.datasets.images import open_image_source
    from siglip2_multimodal_hash.datasets.index import read_index
    from siglip2_multimodal_hash.datasets.layout import source_root
    from siglip2_multimodal_hash.datasets.manifest import read_manifest, verify_source
    from siglip2_multimodal_hash.training.tuning.run import tune_towers
    from siglip2_multimodal_hash.training.tuning.settings import TuneSettings

    root = source_root(params.dataset.kind, source, params.runtime)
    verify_source(root, read_manifest(source), kind=params.dataset.kind)
    settings = TuneSettings.from_params(params)
    tune_towers(read_index(index), open_image_source(root, params.dataset.kind), settings, out)


if __name__ == "__main__":
    run_stage(main, "source", "index", "out")
