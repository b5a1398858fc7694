"""Run the towers once over images, captions and class prompts; or take imported features."""

from pathlib import Path

from siglip2_multimodal_hash.datasets.images import open_image_source
from siglip2_multimodal_hash.datasets.items import read_items
from siglip2_multimodal_hash.datasets.layout import source_root
from siglip2_multimodal_hash.datasets.manifest import read_images, verify_images
from siglip2_multimodal_hash.entry import run_stage
from siglip2_multimodal_hash.features.imported.adoption import adopt_features
from siglip2_multimodal_hash.features.runner import embed_dataset
from siglip2_multimodal_hash.features.tuned import embedded_backbone
from siglip2_multimodal_hash.params import IMPORTED, Params
from siglip2_multimodal_hash.progress import phase


def main(params: Params, images: Path, items: Path, towers: Path, out: Path) -> None:
    """Write the unnormalised embeddings."""
    dataset = read_items(items)
    if params.backbone.checkpoint == IMPORTED:
        folder = Path(params.runtime.features_folder)
        adopt_features(dataset, params.backbone.revision, folder, out)
        return
    root = source_root(params.dataset.kind, images.parent, params.runtime)
    # The root may lead to other photos now: DVC knows their list only.
    with phase("source against its manifest"):
        verify_images(root, read_images(images), params.dataset.kind)
    backbone = embedded_backbone(params, towers)
    embed_dataset(
        dataset, open_image_source(root, params.dataset.kind), backbone, params.runtime, out
    )


if __name__ == "__main__":
    run_stage(main, "images", "items", "towers", "out")
