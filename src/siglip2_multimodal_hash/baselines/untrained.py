"""Codes that nothing was trained for: the float vectors, linear codes of them, and PQ."""

import logging

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import Labels, Rows
from siglip2_multimodal_hash.baselines.linear_codes import fit_itq, fit_lsh, fit_pca_sign
from siglip2_multimodal_hash.baselines.product_codes import CENTROIDS, evaluate_product_codes
from siglip2_multimodal_hash.evaluation.heads import SplitRows, evaluate_by_search
from siglip2_multimodal_hash.evaluation.protocol import Figures
from siglip2_multimodal_hash.params import KnnParams, Params
from siglip2_multimodal_hash.progress import phase, track
from siglip2_multimodal_hash.retrieval.codes import unit_vectors
from siglip2_multimodal_hash.retrieval.store import HeadCodes

logger = logging.getLogger(__name__)


def vote_of_codes(params: Params) -> KnnParams:
    """The ``knn`` section for codes without a classifier: nothing is mixed with their vote.

    So ``knn.hybrid_weight`` is neither read nor declared by the stage.
    """
    return KnnParams(
        K=params.knn.K,
        distance=params.knn.distance,
        vote=params.knn.vote,
        tau=params.knn.tau,
        threshold=params.knn.threshold,
        shortlist=params.knn.shortlist,
        hybrid_weight=1.0,
        top_n_tags=params.knn.top_n_tags,
    )


def float_embedding(
    images: npt.NDArray[np.float32], captions: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Input of the codes: the directions [d_img, d_txt], float32 [N, D_i + D_t].

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
        knn: Settings of the vote; the float vectors are searched by cosine.
        bits: Width of the linear codes, and of the bytes of PQ; 0 leaves them out.
        seed: Of LSH's hyperplanes, ITQ's first rotation and PQ's first centroids.

    Returns:
        Figures of ``float``, ``lsh``, ``pca_sign``, ``itq`` and ``pq``; with a warning without
        those for which there are too few training vectors: ``pca_sign`` and ``itq`` need as many
        principal components as bits, ``pq`` as many vectors as centroids.
    """
    by_cosine = knn.model_copy(update={"distance": "cosine"})
    figures: dict[str, Figures] = {}
    with phase("fitting of the codes"):
        of_all = untrained_codes(vectors, rows.train, bits=bits, seed=seed)
    for name, codes in track(of_all.items(), "untrained codes", "code"):
        how = by_cosine if codes.packed is None else knn
        figures[name] = evaluate_by_search(codes, labels, rows, how)
    if bits and len(rows.train) >= CENTROIDS:
        with phase("product quantisation"):
            figures["pq"] = evaluate_product_codes(vectors, labels, rows, knn, bits=bits, seed=seed)
    elif bits:
        logger.warning(
            "row pq is left out: %d training vectors are fewer than %d centroids",
            len(rows.train),
            CENTROIDS,
        )
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
        By the names of :func:`evaluate_untrained`; without ``pq``, whose queries are no codes.
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
