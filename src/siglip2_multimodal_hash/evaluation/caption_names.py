"""Match of captions and categories: a category's name, or a simple plural of it, as words.

A word match, so a lower bound: ``a puppy`` names no dog here, and ``hot dog`` names one. Names of
several words must stand next to each other, the last of them in the plural or not. Plurals: -s;
-es behind s, x, z, ch and sh; -ies for a consonant and y; -ves for f and fe; and those of
:data:`IRREGULAR`.
"""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

# Of the last words of COCO's names.
IRREGULAR = {"person": ("people", "persons"), "mouse": ("mice",)}
_WORD = re.compile(r"[^\W_]+")


def names_objects(
    captions: Sequence[Sequence[str]], categories: Sequence[str]
) -> npt.NDArray[np.bool_]:
    """Test whether any caption of an image names a category, bool [Q, C].

    Args:
        captions: Of each of the Q images, those that count.
        categories: C names.
    """
    patterns = [_pattern(name) for name in categories]
    texts = [" | ".join(" ".join(_words(one)) for one in own) for own in captions]
    found = [[pattern.search(text) is not None for pattern in patterns] for text in texts]
    return np.array(found, dtype=np.bool_).reshape(len(captions), len(categories))


def plurals(word: str) -> tuple[str, ...]:
    """The simple plurals of a word; see the module."""
    if word in IRREGULAR:
        return IRREGULAR[word]
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return (f"{word}es",)
    if len(word) > 1 and word.endswith("y") and word[-2] not in "aeiou":
        return (f"{word[:-1]}ies",)
    if word.endswith("f"):
        return (f"{word[:-1]}ves", f"{word}s")
    if word.endswith("fe"):
        return (f"{word[:-2]}ves", f"{word}s")
    return (f"{word}s",)


def _words(text: str) -> list[str]:
    found: list[str] = _WORD.findall(text.lower())
    return found


def _pattern(name: str) -> re.Pattern[str]:
    words = _words(name)
    if not words:
        # A name without a letter: nothing can name it.
        return re.compile(r"(?!)")
    *first, last = words
    ends = "|".join(re.escape(form) for form in (last, *plurals(last)))
    return re.compile(r"\b" + "".join(f"{re.escape(word)} " for word in first) + rf"(?:{ends})\b")
