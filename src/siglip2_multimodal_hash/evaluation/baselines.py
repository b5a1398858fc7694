"""Bounds and baselines beside the head: what its figures are to be read against."""

import logging
from pathlib import Path

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.evaluation.heads import (
    SIGMOID_THRESHOLD,
    Labels,
    Rows,
    SplitRows,
    evaluate_head,
)
from siglip2_multimodal_hash.evaluation.linear_codes import fit_itq, fit_lsh, fit_pca_sign
from siglip2_multimodal_hash.evaluation.protocol import Figures, evaluate_predictions
from siglip2_multimodal_hash.evaluation.zero_shot import zero_shot_scores
from siglip2_multimodal_hash.params import KnnParams
from siglip2_multimodal_hash.retrieval.codes import unit_vectors
from siglip2_multimodal_hash.retrieval.index import build_index
from siglip2_multimodal_hash.retrieval.left_out import read_left_out
from siglip2_multimodal_hash.retrieval.store import HeadCodes, read_head_codes

logger = logging.getLogger(__name__)


def evaluate_zero_shot(
    images: npt.NDArray[np.float32],
    prompts: npt.NDArray[np.float32],
    labels: Labels,
    rows: SplitRows,
    *,
    top_n_tags: int,
) -> Figures:
    """Zero-shot classification: cosine of image [N, D] and class prompt [C, D], no training."""
    scores = {
        split: zero_shot_scores(images[rows.queries(split)], prompts) for split in ("val", "test")
    }
    return evaluate_predictions(
        scores["val"],
        labels[rows.val],
        scores["test"],
        labels[rows.test],
        top_n_tags=top_n_tags,
    )


def zero_shot_row(
    images: npt.NDArray[np.float32],
    prompts: npt.NDArray[np.float32],
    labels: Labels,
    rows: SplitRows,
    *,
    top_n_tags: int,
) -> dict[str, Figures]:
    """:func:`evaluate_zero_shot` as ``zero_shot``, or nothing where the features do not allow it.

    Imported features may have no class prompts, or no images to compare them with; the log then
    says that the row is left out.
    """
    if not images.shape[1] or not prompts.shape[1]:
        lacking = "class prompts" if images.shape[1] else "images"
        logger.info("zero_shot: left out, because the features are without %s", lacking)
        return {}
    return {"zero_shot": evaluate_zero_shot(images, prompts, labels, rows, top_n_tags=top_n_tags)}


def evaluate_classifier(
    scores: npt.NDArray[np.float32], labels: Labels, rows: SplitRows, *, top_n_tags: int
) -> Figures:
    """Figures of a classifier's sigmoid scores, float32 [N, C]."""
    return evaluate_predictions(
        scores[rows.val],
        labels[rows.val],
        scores[rows.test],
        labels[rows.test],
        top_n_tags=top_n_tags,
        fixed_threshold=SIGMOID_THRESHOLD,
    )


def evaluate_variants(
    folder: Path, labels: Labels, rows: SplitRows, knn: KnnParams
) -> dict[str, Figures]:
    """Figures of the baseline heads, each in a folder of its name.

    The plain MLP has no code worth a search: its classifier alone is evaluated. Those that could
    not be trained (see :mod:`..retrieval.left_out`) have no row.

    Raises:
        DataError: A baseline's folder is missing or damaged.
    """
    mlp = read_head_codes(folder / "mlp")
    if mlp.scores is None:
        raise DataError(f"{folder / 'mlp'}: holds no scores", "run `dvc repro train_baselines`")
    figures: dict[str, Figures] = {
        "mlp": evaluate_classifier(mlp.scores, labels, rows, top_n_tags=knn.top_n_tags)
    }
    left_out = read_left_out(folder)
    for name in ("direction_only", "image_only", "caption_only"):
        if name in left_out:
            logger.info("%s: left out, because %s", name, left_out[name])
            continue
        figures[name] = evaluate_by_search(read_head_codes(folder / name), labels, rows, knn)
    return figures


def evaluate_by_search(
    codes: HeadCodes, labels: Labels, rows: SplitRows, knn: KnnParams
) -> Figures:
    """All figures of some codes, by the head's own vote, over an exhaustive index."""
    index = build_index(codes.searchable()[rows.database])
    return evaluate_head(codes, index, labels, rows, knn).figures


def float_embedding(
    images: npt.NDArray[np.float32], captions: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """What the codes are made from: the directions [d_img, d_txt], float32 [N, D_i + D_t].

    A modality that the features do not have, of width 0, adds nothing.
    """
    there = [v for v in (images, captions) if v.shape[1]]
    return np.concatenate([unit_vectors(v) for v in there], axis=1)


def evaluate_untrained(
    vectors: npt.NDArray[np.float32],
    labels: Labels,
    rows: SplitRows,
    knn: KnnParams,
    *,
    bits: int,
    seed: int,
) -> dict[str, Figures]:
    """KNN without a trained head: by cosine of the float vectors, and by linear codes of them.

    Args:
        vectors: float32 [N, D]; see :func:`float_embedding`.
        labels: uint8 [N, C].
        rows: The splits; whatever is fitted is fitted on train.
        knn: How to vote; the float vectors are searched by cosine.
        bits: Width of the linear codes; 0 leaves them out.
        seed: Of LSH's hyperplanes and ITQ's first rotation.

    Returns:
        Figures of ``float``, ``lsh``, ``pca_sign`` and ``itq``; without the last two, and with a
        warning, where there are not enough principal components for the bits.
    """
    by_cosine = knn.model_copy(update={"distance": "cosine"})
    figures: dict[str, Figures] = {}
    for name, codes in untrained_codes(vectors, rows.train, bits=bits, seed=seed).items():
        how = by_cosine if codes.packed is None else knn
        figures[name] = evaluate_by_search(codes, labels, rows, how)
    return figures


def untrained_codes(
    vectors: npt.NDArray[np.float32], train_rows: Rows, *, bits: int, seed: int
) -> dict[str, HeadCodes]:
    """The float vectors themselves at unit length, and linear codes of them.

    Args:
        vectors: float32 [N, D].
        train_rows: int64 [n], what the codes are fitted on.
        bits: See :func:`evaluate_untrained`.
        seed: See :func:`evaluate_untrained`.

    Returns:
        By the names of :func:`evaluate_untrained`.
    """
    codes = {"float": HeadCodes(unit_vectors(vectors), None, None)}
    if bits == 0:
        return codes
    train = vectors[train_rows]
    fitted = {"lsh": fit_lsh(train, bits, seed)}
    if bits <= min(len(train) - 1, train.shape[1]):
        fitted |= {"pca_sign": fit_pca_sign(train, bits), "itq": fit_itq(train, bits, seed)}
    else:
        logger.warning(
            "rows pca_sign and itq are left out: %d training vectors of %d dimensions have no %d "
            "principal components",
            *train.shape,
            bits,
        )
    for name, linear in fitted.items():
        codes[name] = HeadCodes(linear.soft_codes(vectors), linear.encode(vectors), None)
    return codes
