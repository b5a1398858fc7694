"""Class prompts: the texts that stand for the classes in zero-shot classification."""

import re
from collections.abc import Callable, Sequence

import numpy as np

from siglip2_multimodal_hash.arrays import Vectors
from siglip2_multimodal_hash.errors import DataError, InputError

# For meta.json: how the templates' embeddings become one vector per class.
ENSEMBLE = "mean over the templates of unit vectors"

_ARTICLE = re.compile(r"\b([Aa])(?= \{\})")


def fill_template(template: str, name: str) -> str:
    """Put a class name into a template; ``a {}`` becomes ``an {}`` before a vowel.

    The letter decides, which is right for all 80 names of COCO.
    """
    if name[:1].lower() in tuple("aeiou"):
        template = _ARTICLE.sub(r"\1n", template)
    return template.replace("{}", name)


def encode_prompts(
    encode: Callable[[Sequence[str]], Vectors],
    names: Sequence[str],
    templates: Sequence[str],
) -> Vectors:
    """One vector per class: the mean of its unit vectors over the templates.

    The ensemble of CLIP (Radford et al., 2021, section 3.1.4): each template's embedding is
    normalised first, so that no template outweighs another.

    Args:
        encode: n texts -> float32 [n, D].
        names: C class names, distinct.
        templates: At least one; each holds ``{}`` once.

    Returns:
        float32 [C, D], no longer than 1 and not normalised.

    Raises:
        InputError: Two classes get the same embedding: the tokenizer cannot tell them apart.
        DataError: An embedding has no direction: it is NaN, infinite or zero.
    """
    total = np.zeros((len(names), 0), dtype=np.float64)
    for number, template in enumerate(templates):
        vectors = encode([fill_template(template, name) for name in names]).astype(np.float64)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not (np.isfinite(norms) & (norms > 0)).all():
            raise DataError(
                f"prompt.npy: the text tower gave NaN, infinity or zero for {template!r}",
                "set backbone.amp_dtype to float32, or to bfloat16",
            )
        units = vectors / norms
        total = units if number == 0 else total + units
    prompts: Vectors = (total / len(templates)).astype(np.float32)
    _check_distinct(prompts, names)
    return prompts


def _check_distinct(prompts: Vectors, names: Sequence[str]) -> None:
    seen: dict[bytes, str] = {}
    for name, prompt in zip(names, prompts, strict=True):
        twin = seen.setdefault(prompt.tobytes(), name)
        if twin != name:
            raise InputError(
                f"backbone.checkpoint: its tokenizer gives the prompts of {twin!r} and {name!r} "
                "the same tokens",
                "use the checkpoint's own tokenizer, shorter backbone.prompt_templates, or a "
                "larger backbone.text_max_length",
            )
