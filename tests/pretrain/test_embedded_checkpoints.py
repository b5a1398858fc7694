"""The committed checkpoints: they load like the published ones, and they know the categories."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score
from transformers import AutoModel, AutoProcessor

from models.pretrain.scenes import VALIDATION
from models.pretrain.tokenizer import load_tokenizer, token_ids
from models.pretrain.zero_shot import (
    LabelledScenes,
    class_prompts,
    evaluate_checkpoint,
    labelled_scenes,
    macro_average_precision,
)
from siglip2_multimodal_hash.errors import DataError

MODELS = Path(__file__).resolve().parents[2] / "models"
FIXED = MODELS / "siglip2-tiny-patch16-128"
NAFLEX = MODELS / "siglip2-tiny-naflex"
BOTH = pytest.mark.parametrize("folder", [FIXED, NAFLEX], ids=lambda folder: folder.name)

LARGEST = 8 * 1024**2
TEXTS = ["A photo of a Dog.", "two people and a fire hydrant in a park", ""]


@BOTH
def test_files_are_small_and_name_no_place(folder: Path) -> None:
    files = sorted(folder.iterdir())
    assert {file.name for file in files} == {
        "config.json",
        "model.safetensors",
        "processor_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert sum(file.stat().st_size for file in files) <= LARGEST
    for file in files:
        if file.suffix == ".json":
            text = file.read_text(encoding="utf-8")
            assert not any(word in text for word in ("/home", "/tmp", "/root", "is_local"))


@pytest.mark.parametrize(
    ("folder", "kind", "architecture", "processor_class"),
    [
        (FIXED, "siglip", "SiglipModel", "SiglipProcessor"),
        (NAFLEX, "siglip2", "Siglip2Model", "Siglip2Processor"),
    ],
    ids=["fixed", "naflex"],
)
def test_auto_classes_load_the_right_kinds(
    folder: Path, kind: str, architecture: str, processor_class: str
) -> None:
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    processor = AutoProcessor.from_pretrained(folder)
    assert model.config.model_type == kind
    assert type(model).__name__ == architecture
    assert type(processor).__name__ == processor_class
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    images = processor(images=[image], return_tensors="pt")
    texts = processor(text=TEXTS, padding="max_length", return_tensors="pt")
    assert texts.keys() == {"input_ids"}
    assert texts["input_ids"].shape == (3, 64)
    with torch.no_grad():
        for features in (model.get_image_features(**images), model.get_text_features(**texts)):
            assert features.pooler_output.isfinite().all()
            assert features.pooler_output.shape[1] == 128
            assert (features.pooler_output.norm(dim=1) > 0).all()


def test_fixed_pixels_are_those_it_was_trained_on() -> None:
    processor = AutoProcessor.from_pretrained(FIXED)
    pixels = labelled_scenes(VALIDATION, 2).images
    found = processor(images=list(pixels), return_tensors="pt")["pixel_values"].numpy()
    np.testing.assert_allclose(found, pixels.transpose(0, 3, 1, 2) / 127.5 - 1, atol=1e-6)


@BOTH
def test_case_does_not_matter_and_ids_are_the_processors(folder: Path) -> None:
    tokenizer = load_tokenizer(folder)
    ids = token_ids(tokenizer, TEXTS)
    np.testing.assert_array_equal(ids, token_ids(tokenizer, [text.upper() for text in TEXTS]))
    np.testing.assert_array_equal(ids, tokenizer(TEXTS, padding="max_length")["input_ids"])
    assert ids[2].tolist() == [tokenizer.eos_token_id] + [tokenizer.pad_token_id] * 63


@BOTH
def test_every_prompt_is_known_word_by_word(folder: Path) -> None:
    tokenizer = load_tokenizer(folder)
    ids = token_ids(tokenizer, class_prompts())
    assert not (ids == tokenizer.unk_token_id).any()
    assert tokenizer.tokenize("a photo of a hot dog.") == [
        "a",
        "▁photo",
        "▁of",
        "▁a",
        "▁hot",
        "▁dog",
        ".",
    ]


def test_long_texts_are_cut_to_64_tokens() -> None:
    tokenizer = load_tokenizer(FIXED)
    long = ["dog " * 100]
    expected = tokenizer(long, padding="max_length", truncation=True)["input_ids"]
    np.testing.assert_array_equal(token_ids(tokenizer, long), expected)


@pytest.mark.parametrize(
    ("folder", "floor"), [(FIXED, 0.60), (NAFLEX, 0.60)], ids=["fixed", "naflex"]
)
def test_zero_shot_tagging_is_well_above_chance(folder: Path, floor: float) -> None:
    # Chance, the mean share of positives, is about 0.04.
    assert evaluate_checkpoint(folder, labelled_scenes(VALIDATION, 200)) > floor


def test_macro_average_precision_leaves_out_absent_categories() -> None:
    images = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 5.0]])
    classes = torch.tensor([[2.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    labels = np.array([[1, 0, 0], [0, 0, 0], [1, 1, 0]], dtype=np.uint8)
    expected = [
        average_precision_score([1, 0, 1], [1.0, 0.6, 0.0]),  # 1/2 * 1 + 1/2 * 2/3
        average_precision_score([0, 0, 1], [0.0, 0.8, 1.0]),
    ]
    assert expected == pytest.approx([5 / 6, 1.0])
    assert macro_average_precision(images, classes, labels) == pytest.approx(np.mean(expected))


def test_a_folder_without_checkpoint_is_named(tmp_path: Path) -> None:
    scenes = LabelledScenes(np.zeros((0, 128, 128, 3), np.uint8), np.zeros((0, 80), np.uint8))
    with pytest.raises(DataError, match=str(tmp_path)):
        evaluate_checkpoint(tmp_path, scenes)
    with pytest.raises(DataError, match="tokenizer"):
        load_tokenizer(tmp_path)
