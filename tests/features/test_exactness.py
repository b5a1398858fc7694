"""The whole stage, from image files to the store, against the models used by hand: to 1e-5.

Every kind of checkpoint and image; batches here, one item at a time there. What differs on purpose
is not compared: transparency.
"""

import io
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from siglip2_multimodal_hash.datasets.index import make_index
from siglip2_multimodal_hash.features.runner import embed_dataset
from siglip2_multimodal_hash.features.store import Embeddings, load_embeddings
from tests.features.base_size import base_checkpoint
from tests.features.direct_use import Direct
from tests.features.photographs import photographs
from tests.features.tiny import make_backbone, make_runtime, open_archive

MODELS = Path(__file__).resolve().parents[2] / "models"
COMMITTED = {
    "siglip": MODELS / "siglip2-tiny-patch16-128",
    "siglip2": MODELS / "siglip2-tiny-naflex",
}
CAPTIONS = (
    *("A red FLOWER.", "two people on a mat", "a", "A cat and a zebra, " * 12 + "a dog"),
    # Of COCO's captions 15 % end in a blank, or have one too many, or a line break.
    *("two people on a mat ", " two people on a mat", "two  people on a mat", "Two\npeople\t.\n\n"),
)
TOLERANCE = 1e-5


def embed(
    folder: Path, checkpoint: Path, files: Mapping[str, bytes], max_num_patches: int
) -> Embeddings:
    """Embed the photographs from an archive; the first has all captions."""
    archive = folder / "val2014.zip"
    with zipfile.ZipFile(archive, "w") as target:
        for name, file in files.items():
            target.writestr(f"val2014/{name}", file)
    count = len(files)
    columns = {
        "image_id": range(1, count + 1),
        "file_name": [f"val2014/{name}" for name in files],
        "split": ["train"] * count,
        "width": [1] * count,
        "height": [1] * count,
        "bytes": [len(file) for file in files.values()],
    }
    captions = [CAPTIONS if row == 0 else ("a",) for row in range(count)]
    labels = np.ones((count, 2), np.uint8)
    index = make_index(columns, captions, labels, (1, 2), ("airplane", "cat"))
    backbone = make_backbone(checkpoint, max_num_patches=max_num_patches)
    embed_dataset(index, open_archive(archive), backbone, make_runtime(2, 4), folder / "embeddings")
    return load_embeddings(folder / "embeddings")


def compare(stored: Embeddings, direct: Direct, files: Mapping[str, bytes]) -> None:
    images = [Image.open(io.BytesIO(file)).convert("RGB") for file in files.values()]
    for name, ours, theirs in (
        ("images", stored.image, [direct.images([image]) for image in images]),
        ("texts", stored.caption[: len(CAPTIONS)], [direct.texts([text]) for text in CAPTIONS]),
    ):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, torch.cat(theirs), atol=TOLERANCE, rtol=0, err_msg=name)
        # The tolerance means something: other inputs are elsewhere.
        for row in range(1, len(ours)):
            assert abs(ours[row] - ours[0]).max() > 100 * TOLERANCE
        norms = np.linalg.norm(ours, axis=1)
        assert (abs(norms - 1) > 0.1).all(), "nothing is normalised"
        assert norms.std() > 10 * TOLERANCE


@pytest.mark.parametrize(
    ("kind", "max_num_patches"), [("siglip", 256), ("siglip2", 64), ("siglip2", 256)]
)
def test_committed_checkpoints(tmp_path: Path, kind: str, max_num_patches: int) -> None:
    files = photographs()
    stored = embed(tmp_path, COMMITTED[kind], files, max_num_patches)
    compare(stored, Direct(COMMITTED[kind], max_num_patches), files)


@pytest.mark.parametrize("kind", COMMITTED)
def test_base_width_with_two_layers(kind: str, tmp_path: Path) -> None:
    files = photographs()
    files = {name: files[name] for name in ("china.jpg", "grey.jpg", "tower.jpg", "pixel.png")}
    tiny = COMMITTED[kind]
    made = base_checkpoint(tmp_path / kind, kind, layers=2, vocabulary=1280, tiny=tiny)
    compare(embed(tmp_path, made, files, 256), Direct(made, 256), files)


@pytest.mark.slow
@pytest.mark.parametrize("kind", COMMITTED)
def test_base_size_with_the_whole_vocabulary(kind: str, tmp_path: Path) -> None:
    files = photographs()
    tiny = COMMITTED[kind]
    made = base_checkpoint(tmp_path / kind, kind, layers=12, vocabulary=256_000, tiny=tiny)
    try:
        stored = embed(tmp_path, made, files, 256)
        assert stored.image.shape[1] == stored.caption.shape[1] == 768
        compare(stored, Direct(made, 256), files)
    finally:
        shutil.rmtree(made)  # 1.5 GB
