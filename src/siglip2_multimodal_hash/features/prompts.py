"""Class prompts: the texts that stand for the classes in zero-shot classification."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


def fill_template(template: str, name: str) -> str:
    """Put a class name into a template; ``a {}`` becomes ``an {}`` before a vowel."""
    if name[:1].lower() in "aeiou":
        template = template.replace("a {}", "an {}").replace("A {}", "An {}")
    return template.replace("{}", name)


def encode_prompts(
    encode: Callable[[Sequence[str]], FloatArray],
    names: Sequence[str],
    templates: Sequence[str],
) -> FloatArray:
    """One vector a class: the mean of its unit vectors over the templates.

    The ensemble of CLIP (Radford et al., 2021, section 3.1.4): each template's embedding is
    normalised first, so that no template outweighs another.

    Args:
        encode: n texts -> float32 [n, D].
        names: C class names.
        templates: Each holds ``{}`` once.

    Returns:
        float32 [C, D], not normalised.
    """
    total: FloatArray | None = None
    for template in templates:
        vectors = encode([fill_template(template, name) for name in names])
        units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        total = units if total is None else total + units
    if total is None:
        raise ValueError("no template")
    mean: FloatArray = (total / len(templates)).astype(np.float32)
    return mean
