"""Zero-shot tagging with class prompts, the measure of a checkpoint."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import average_precision_score
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoImageProcessor, AutoModel, Siglip2Tokenizer

from models.pretrain.tokenizer import load_tokenizer, token_ids
from models.pretrain.towers import IMAGE_SIZE
from siglip2_multimodal_hash.datasets.mojicoco import CATEGORIES, render_scene, sample_scene
from siglip2_multimodal_hash.errors import DataError

TEMPLATES = ("a photo of a {}.", "{}", "a picture with a {} in it.")


@dataclass(frozen=True)
class LabelledScenes:
    """N images with their categories."""

    images: npt.NDArray[np.uint8]
    """uint8 [N, 128, 128, 3]."""
    labels: npt.NDArray[np.uint8]
    """uint8 [N, 80], columns in ascending category id."""


@cache
def labelled_scenes(stream: int, count: int) -> LabelledScenes:
    """The first ``count`` scenes of a stream, labelled by what is visible."""
    column = {category.id: position for position, category in enumerate(CATEGORIES)}
    labels = np.zeros((count, len(CATEGORIES)), dtype=np.uint8)
    images = np.empty((count, IMAGE_SIZE, IMAGE_SIZE, 3), dtype=np.uint8)
    for number in range(count):
        rendered = render_scene(sample_scene(stream, number), IMAGE_SIZE)
        images[number] = rendered.image
        for visible in rendered.objects:
            labels[number, column[visible.category_id]] = 1
    return LabelledScenes(images, labels)


def class_prompts(templates: Sequence[str] = TEMPLATES) -> list[str]:
    """Prompts of all categories for the first template, then for the second, and so on."""
    return [template.format(category.name) for template in templates for category in CATEGORIES]


def class_embeddings(prompts: Tensor) -> Tensor:
    """One unit vector per category, [80, D]: the mean of its prompts' unit vectors.

    Args:
        prompts: Features of :func:`class_prompts`, [3 * 80, D], of any length.
    """
    prompts = F.normalize(prompts.float(), dim=-1)
    return F.normalize(prompts.view(len(TEMPLATES), len(CATEGORIES), -1).mean(dim=0), dim=-1)


def macro_average_precision(
    images: Tensor, classes: Tensor, labels: npt.NDArray[np.uint8]
) -> float:
    """Mean over the categories of the average precision of cosine similarity.

    Categories without a positive are left out, as average precision is not defined for them.

    Args:
        images: [N, D], of any length.
        classes: [C, D].
        labels: uint8 [N, C].
    """
    scores = (F.normalize(images.float(), dim=-1) @ F.normalize(classes.float(), dim=-1).T).cpu()
    present = labels.any(axis=0)
    return float(
        average_precision_score(labels[:, present], scores.numpy()[:, present], average="macro")
    )


@torch.no_grad()
def encode_in_chunks(encode: Callable[[Tensor], Tensor], inputs: Tensor, size: int = 250) -> Tensor:
    """``encode`` applied to ``size`` rows at a time: [N, ...] -> float32 [N, D]."""
    return torch.cat([encode(chunk).float() for chunk in torch.split(inputs, size)])


def zero_shot_map(
    scenes: LabelledScenes,
    tokenizer: Siglip2Tokenizer,
    encode_images: Callable[[Tensor], Tensor],
    encode_texts: Callable[[Tensor], Tensor],
) -> float:
    """Zero-shot macro mAP of towers that are given as functions.

    Args:
        scenes: Images and their categories.
        tokenizer: Tokenizer of the class prompts.
        encode_images: uint8 [B, 128, 128, 3] -> [B, D].
        encode_texts: int64 [B, 64] -> [B, D].
    """
    prompts = torch.from_numpy(token_ids(tokenizer, class_prompts()))
    classes = class_embeddings(encode_in_chunks(encode_texts, prompts))
    images = encode_in_chunks(encode_images, torch.from_numpy(scenes.images))
    return macro_average_precision(images, classes, scenes.labels)


def evaluate_checkpoint(folder: Path, scenes: LabelledScenes) -> float:
    """Zero-shot macro mAP of an exported checkpoint, through transformers' own classes.

    Raises:
        DataError: The folder holds no checkpoint.
    """
    if not (folder / "config.json").exists():
        raise DataError(f"{folder}: holds no config.json", "train the checkpoint first")
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = load_tokenizer(folder)
    # Pillow's backend, with torchvision installed or not: the two resize differently.
    auto: Any = AutoImageProcessor
    processor = auto.from_pretrained(folder, backend="pil")

    def encode_images(pixels: Tensor) -> Tensor:
        inputs = processor(images=list(pixels.numpy()), return_tensors="pt")
        features: Tensor = model.get_image_features(**inputs).pooler_output
        return features

    def encode_texts(tokens: Tensor) -> Tensor:
        features: Tensor = model.get_text_features(input_ids=tokens).pooler_output
        return features

    return zero_shot_map(scenes, tokenizer, encode_images, encode_texts)
