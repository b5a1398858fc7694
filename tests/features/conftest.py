"""Tiny random SigLIP checkpoints of both kinds, and a dataset of a dozen images."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    Siglip2Config,
    Siglip2ImageProcessorPil,
    Siglip2Model,
    Siglip2Processor,
    Siglip2Tokenizer,
    SiglipConfig,
    SiglipImageProcessorPil,
    SiglipModel,
    SiglipProcessor,
)

from siglip2_multimodal_hash.datasets.images import CocoImages
from siglip2_multimodal_hash.datasets.index import DatasetIndex, make_index
from siglip2_multimodal_hash.params import BackboneParams, RuntimeParams
from tests.parameters import PARAMS

SPECIALS = ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>")
WIDTH = 32
CAPTIONS = (
    ("A cat on a mat.", "a cat"),
    ("Two dogs.", "TWO dogs.", "a dog and a cat"),
    ("a zebra",),
    ("a cat", "two dogs."),
)


def make_tokenizer():
    """A vocabulary of single characters: nothing to train, every word its own tokens."""
    characters = "▁abcdefghijklmnopqrstuvwxyz0123456789.,-'"
    vocabulary = {token: number for number, token in enumerate((*SPECIALS, *characters))}
    return Siglip2Tokenizer(
        vocab=vocabulary,
        merges=[],
        padding_side="right",
        model_input_names=["input_ids"],
        model_max_length=64,
    )


def save_checkpoint(folder: Path, kind: str) -> Path:
    """Save random towers of model type ``siglip`` or ``siglip2`` with all that AutoModel needs."""
    torch.manual_seed(0)
    tokenizer = make_tokenizer()
    layers = {
        "hidden_size": WIDTH,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    text = layers | {
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 64,
        "pad_token_id": 0,
        "bos_token_id": 2,
        "eos_token_id": 1,
    }
    half = [0.5, 0.5, 0.5]
    if kind == "siglip":
        vision = layers | {"patch_size": 16, "image_size": 64}
        model = SiglipModel(SiglipConfig(text_config=text, vision_config=vision))
        images = SiglipImageProcessorPil(
            size={"height": 64, "width": 64}, image_mean=half, image_std=half, resample=2
        )
        processor = SiglipProcessor(image_processor=images, tokenizer=tokenizer)
    else:
        vision = layers | {"patch_size": 16, "num_patches": 16}
        model = Siglip2Model(Siglip2Config(text_config=text, vision_config=vision))
        # Another number of patches than the tests ask for: the argument must win.
        images = Siglip2ImageProcessorPil(patch_size=16, max_num_patches=64)
        processor = Siglip2Processor(image_processor=images, tokenizer=tokenizer)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def one_thread():
    """Models this small lose more to the barriers between threads than they gain."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory):
    root = tmp_path_factory.mktemp("checkpoints")
    return {kind: save_checkpoint(root / kind, kind) for kind in ("siglip", "siglip2")}


@pytest.fixture(params=["siglip", "siglip2"])
def checkpoint(request: pytest.FixtureRequest, checkpoints) -> Path:
    """Each of both kinds in turn; read-only."""
    return checkpoints[request.param]


@pytest.fixture
def save_tiny():
    """Save a checkpoint that the test may damage."""
    return save_checkpoint


@pytest.fixture(scope="session")
def make_backbone():
    def make(checkpoint: Path | str, **changes) -> BackboneParams:
        values = PARAMS.backbone.model_dump()
        tiny = {"name": "tiny", "checkpoint": str(checkpoint), "max_num_patches": 16}
        return BackboneParams.model_validate(values | tiny | changes)

    return make


@pytest.fixture(scope="session")
def make_runtime():
    def make(workers: int = 0, batch_size: int = 5, **embed) -> RuntimeParams:
        values = PARAMS.runtime.model_dump()
        values["device"] = "cpu"
        values["dataloader"] |= {"num_workers": workers, "embed_batch_size": batch_size}
        values["embed"] |= embed
        values["logging"]["progress"] = False
        return RuntimeParams.model_validate(values)

    return make


@pytest.fixture(scope="session")
def pictures() -> list[Image.Image]:
    """Twelve images of different sizes, smooth enough for JPEG."""
    generator = np.random.default_rng(7)
    found = []
    for number in range(12):
        coarse = generator.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        size = (40 + 13 * number, 120 - 6 * number)
        found.append(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))
    return found


@pytest.fixture
def archive(tmp_path: Path, pictures) -> Path:
    """The images as COCO ships them: in an archive."""
    path = tmp_path / "val2014.zip"
    with zipfile.ZipFile(path, "w") as target:
        for number, picture in enumerate(pictures):
            file = tmp_path / "one.jpg"
            picture.save(file, quality=95)
            target.write(file, f"val2014/{number:03d}.jpg")
            file.unlink()
    return path


@pytest.fixture
def open_images():
    from siglip2_multimodal_hash.datasets.containers import open_container

    return lambda path: CocoImages({"val2014": open_container(path, "val2014")})


@pytest.fixture(scope="session")
def index(pictures) -> DatasetIndex:
    """Twelve images, three classes; captions repeat up to case and blanks."""
    count = len(pictures)
    columns = {
        "image_id": range(1, count + 1),
        "file_name": [f"val2014/{number:03d}.jpg" for number in range(count)],
        "split": ["train"] * 8 + ["val"] * 2 + ["test"] * 2,
        "width": [picture.width for picture in pictures],
        "height": [picture.height for picture in pictures],
        "bytes": [1000] * count,
    }
    labels = np.eye(3, dtype=np.uint8)[np.arange(count) % 3]
    captions = [CAPTIONS[number % len(CAPTIONS)] for number in range(count)]
    return make_index(columns, captions, labels, (1, 2, 3), ("airplane", "cat", "dog"))
