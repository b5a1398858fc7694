"""Baselines between stages: results of classifiers, and reasons of variants that are left out.

Nothing here takes long to load: where no baseline is wanted, a stage reads and writes this alone.
"""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.files import read_json, replacing, write_json

if TYPE_CHECKING:
    from siglip2_multimodal_hash.evaluation.protocol import Figures

logger = logging.getLogger(__name__)

Modality = Literal["fused", "image", "caption"]

FIGURES = "figures.json"
LEFT_OUT = "left_out.json"
_ALL = "all"


def modality_of(image_dim: int, caption_dim: int) -> Modality:
    """Name what features of these widths hold; a modality that is not there is 0 wide."""
    if image_dim and caption_dim:
        return "fused"
    return "image" if image_dim else "caption"


def named(rows: dict[str, "Figures"], modality: Modality) -> dict[str, "Figures"]:
    """The rows, each with its ``modality``: a fused one must never be read as an image-only one."""
    return {name: {"modality": modality, **figures} for name, figures in rows.items()}


@dataclass(frozen=True, eq=False)
class ClassifierResults:
    """Figures of classifiers without a code, and their scores for each image of test.

    :func:`..evaluation.items.read_classifier_results` reads what this writes.

    Attributes:
        figures: By classifier, with its ``modality``.
        scores: Likewise, float32 [T, C].
    """

    figures: dict[str, "Figures"] = field(default_factory=dict)
    scores: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write ``figures.json`` and a ``test-NAME.npy`` for each classifier: all or none."""
        with replacing(folder) as temporary:
            temporary.mkdir()
            write_json(temporary / FIGURES, self.figures)
            for name, scores in self.scores.items():
                np.save(temporary / f"test-{name}.npy", scores, allow_pickle=False)

    def __or__(self, other: Self) -> "ClassifierResults":
        """The classifiers of both."""
        return ClassifierResults(self.figures | other.figures, self.scores | other.scores)


def write_left_out(folder: Path, reasons: dict[str, str]) -> None:
    """Note the variants that ``folder`` will not hold.

    Args:
        folder: Of the variants.
        reasons: By name.
    """
    if reasons:
        write_json(folder / LEFT_OUT, reasons)


def leave_out_all(folder: Path, reason: str) -> None:
    """Note that ``folder`` will hold no variant, whatever their names."""
    write_left_out(folder, {_ALL: reason})


def read_left_out(folder: Path) -> dict[str, str]:
    """The reasons by name; empty where every variant was trained.

    Raises:
        DataError: The file is damaged.
    """
    path = folder / LEFT_OUT
    if not path.exists():
        return {}
    reasons = read_json(path)
    if not isinstance(reasons, dict) or not all(isinstance(one, str) for one in reasons.values()):
        raise DataError(f"{path}: not a reason per variant", "run `dvc repro train_variants`")
    return reasons


def all_left_out(folder: Path) -> bool:
    """Test whether :func:`leave_out_all` left ``folder`` without variants; if so, log the reason.

    Raises:
        DataError: The file is damaged.
    """
    reason = read_left_out(folder).get(_ALL)
    if reason is not None:
        logger.info("%s: all are left out, because %s", folder.name, reason)
    return reason is not None
