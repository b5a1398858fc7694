"""Baseline heads beside the head: what its figures are to be read against."""

import logging
from pathlib import Path

from siglip2_multimodal_hash.evaluation.heads import Labels, SplitRows, evaluate_head
from siglip2_multimodal_hash.evaluation.modality import modality_of
from siglip2_multimodal_hash.evaluation.protocol import Figures
from siglip2_multimodal_hash.params import KnnParams
from siglip2_multimodal_hash.retrieval.index import build_index
from siglip2_multimodal_hash.retrieval.left_out import read_left_out
from siglip2_multimodal_hash.retrieval.store import HeadCodes, read_head_codes

logger = logging.getLogger(__name__)

VARIANTS = ("direction_only", "image_only", "caption_only", "magnitude_only")


def evaluate_variants(
    folder: Path, labels: Labels, rows: SplitRows, knn: KnnParams
) -> dict[str, Figures]:
    """Figures of the baseline heads, each in a folder of its name, with its ``modality``.

    Those that could not be trained (see :mod:`..retrieval.left_out`) have no row.

    Raises:
        DataError: A baseline's folder is missing or damaged.
    """
    figures: dict[str, Figures] = {}
    left_out = read_left_out(folder)
    there = modality_of("image_only" not in left_out, "caption_only" not in left_out)
    of_one = {"image_only": "image", "caption_only": "caption"}
    for name in VARIANTS:
        if name in left_out:
            logger.info("%s: left out, because %s", name, left_out[name])
            continue
        found = evaluate_by_search(read_head_codes(folder / name), labels, rows, knn)
        figures[name] = {"modality": of_one.get(name, there), **found}
    return figures


def evaluate_by_search(
    codes: HeadCodes, labels: Labels, rows: SplitRows, knn: KnnParams
) -> Figures:
    """All figures of some codes, by the head's own vote, over an exhaustive index."""
    index = build_index(codes.searchable()[rows.database])
    return evaluate_head(codes, index, labels, rows, knn).figures
