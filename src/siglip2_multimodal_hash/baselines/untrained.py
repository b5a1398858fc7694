"""Codes that nothing was trained for: the float vectors, linear codes of them, and PQ.

What takes long is done once and kept: the codes, the neighbours by distances of their own, and the
ranking of the database. The vote needs no more.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import Labels, Rows, load_array
from siglip2_multimodal_hash.baselines.exhaustive_search import (
    RANKED,
    Searched,
    search_product_codes,
    search_vectors,
)
from siglip2_multimodal_hash.baselines.linear_codes import (
    LinearHash,
    fit_lsh,
    fit_pca_sign,
    rotated,
)
from siglip2_multimodal_hash.baselines.product_codes import CENTROIDS, fit_product_codes
from siglip2_multimodal_hash.baselines.store import FIGURES, Modality, named
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.evaluation.code_quality import code_quality
from siglip2_multimodal_hash.evaluation.heads import QUERY_SPLITS, SplitRows, predict
from siglip2_multimodal_hash.evaluation.protocol import (
    Figures,
    evaluate_predictions,
    evaluate_retrieval,
)
from siglip2_multimodal_hash.files import read_json, replacing, write_json
from siglip2_multimodal_hash.params import KnnParams, Params, check_neighbour_count
from siglip2_multimodal_hash.progress import phase, track
from siglip2_multimodal_hash.retrieval.codes import binarize, unit_vectors
from siglip2_multimodal_hash.retrieval.index import build_index
from siglip2_multimodal_hash.retrieval.neighbours import Neighbours
from siglip2_multimodal_hash.retrieval.store import HeadCodes
from siglip2_multimodal_hash.retrieval.voting import vote_scores

logger = logging.getLogger(__name__)

SAMPLE = 32_768
"""Training vectors that codes are fitted to, at most; drawn by the seed.

Of 55,000 made ones (1,538 wide, 80 classes, 2,500 queries) the sample instead of all moves mAP of
the vote / of retrieval, mean of three seeds in points: ITQ -0.2 / -0.2, PQ -0.4 / +1.0; other seeds
alone move ITQ by up to 0.5 / 0.2 and PQ by 0.6 / 1.2. At one seed LSH and PCA-sign move by less
than 0.05. FAISS itself looks at 65,536 vectors for PQ.
"""

_REMEDY = "run `dvc repro search_untrained`"


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


def search_untrained(
    folder: Path,
    vectors: npt.NDArray[np.float32],
    labels: Labels,
    rows: SplitRows,
    *,
    bits: int,
    seed: int,
    K: int,
    modality: Modality,
) -> None:
    """Write what the vote of :func:`evaluate_untrained` needs, and what does not depend on it.

    That is ``figures.json`` with the rows ``float``, ``lsh``, ``pca_sign``, ``itq`` and ``pq``;
    with a warning without those for which there are too few training vectors: ``pca_sign`` and
    ``itq`` need as many principal components as bits, ``pq`` as many vectors as centroids. Linear
    codes are kept themselves, for any distance; of ``float`` and ``pq`` the neighbours.

    Args:
        folder: Replaced.
        vectors: float32 [N, D]; see :func:`float_embedding`.
        labels: uint8 [N, C].
        rows: The splits; whatever is fitted is fitted on train. Figures of retrieval are of test
            alone.
        bits: Width of the linear codes, and of the bytes of PQ; 0 leaves them out.
        seed: Of LSH's hyperplanes, ITQ's first rotation, PQ's first centroids and the sample.
        K: Neighbours per query that are kept, at most.
        modality: Of the vectors.
    """
    figures: dict[str, Figures] = {}
    with replacing(folder) as temporary:
        temporary.mkdir()
        linear = linear_codes(vectors, rows.train, bits=bits, seed=seed)
        with phase("linear codes", 3, "code") as shown:
            for name, codes in linear:
                _write_codes(temporary / name, codes)
                figures[name] = _ranked_codes(codes, labels, rows)
                shown.update()
        units = unit_vectors(vectors)
        found = search_vectors(units, labels, rows, K)
        figures["float"] = _write_neighbours(temporary / "float", found)
        if bits and len(rows.train) >= CENTROIDS:
            with phase("fit of product quantisation"):
                fitted = fit_product_codes(units[sample_of(rows.train, seed)], bits, seed)
            found = search_product_codes(fitted, units, labels, rows, K)
            figures["pq"] = _write_neighbours(temporary / "pq", found)
        elif bits:
            logger.warning(
                "row pq is left out: %d training vectors are fewer than %d centroids",
                len(rows.train),
                CENTROIDS,
            )
        write_json(temporary / FIGURES, named(figures, modality))


def evaluate_untrained(
    folder: Path, labels: Labels, rows: SplitRows, knn: KnnParams
) -> dict[str, Figures]:
    """Figures of every row that :func:`search_untrained` wrote: its own, and ``knn`` by the vote.

    Args:
        folder: What it wrote.
        labels: uint8 [N, C].
        rows: The splits.
        knn: Settings of the vote; the float vectors are searched by cosine, PQ by its own distance.

    Raises:
        InputError: K is more than the database has.
        DataError: A file is missing or damaged, or fewer than K neighbours were kept.
    """
    figures: dict[str, Figures] = read_json(folder / FIGURES, _REMEDY)
    for name in track(figures, "untrained codes", "code"):
        scores = _scores(folder / name, labels, rows, knn)
        figures[name]["knn"] = evaluate_predictions(
            scores["val"],
            labels[rows.val],
            scores["test"],
            labels[rows.test],
            top_n_tags=knn.top_n_tags,
        )
    return figures


def sample_of(train_rows: Rows, seed: int) -> Rows:
    """At most :data:`SAMPLE` of the training rows, ascending: all where there are no more."""
    if len(train_rows) <= SAMPLE:
        return train_rows
    return np.sort(np.random.default_rng(seed).choice(train_rows, SAMPLE, replace=False))


def linear_codes(
    vectors: npt.NDArray[np.float32], train_rows: Rows, *, bits: int, seed: int
) -> Iterator[tuple[str, HeadCodes]]:
    """LSH, PCA-sign and ITQ of the vectors, one after the other.

    Args:
        vectors: float32 [N, D].
        train_rows: int64 [n]; the codes are fitted on a sample of them, see :func:`sample_of`.
        bits: See :func:`search_untrained`.
        seed: See :func:`search_untrained`.
    """
    if bits == 0:
        return
    train = vectors[sample_of(train_rows, seed)]
    yield "lsh", _encoded(fit_lsh(train, bits, seed), vectors)
    if bits > min(len(train) - 1, train.shape[1]):
        logger.warning(
            "rows pca_sign and itq are left out: %d training vectors of %d dimensions have no %d "
            "principal components",
            *train.shape,
            bits,
        )
        return
    principal = fit_pca_sign(train, bits)
    yield "pca_sign", _encoded(principal, vectors)
    yield "itq", _encoded(rotated(principal, train, seed), vectors)


def untrained_codes(
    vectors: npt.NDArray[np.float32], train_rows: Rows, *, bits: int, seed: int
) -> dict[str, HeadCodes]:
    """The float vectors themselves at unit length, and :func:`linear_codes` of them.

    Without ``pq``, whose queries are no codes.
    """
    linear = linear_codes(vectors, train_rows, bits=bits, seed=seed)
    return {"float": HeadCodes(unit_vectors(vectors), None, None), **dict(linear)}


def _encoded(linear: LinearHash, vectors: npt.NDArray[np.float32]) -> HeadCodes:
    soft = linear.soft_codes(vectors)
    return HeadCodes(soft, binarize(soft), None)


def _ranked_codes(codes: HeadCodes, labels: Labels, rows: SplitRows) -> Figures:
    """Figures ``retrieval`` and ``codes`` of packed codes."""
    assert codes.packed is not None
    queries, database = rows.queries(RANKED), rows.database_of(RANKED)
    retrieval = evaluate_retrieval(
        codes.packed[queries], codes.packed[database], labels[queries], labels[database]
    )
    return {
        "retrieval": {RANKED: retrieval.figures()},
        "codes": code_quality(codes.packed[rows.database], codes.soft[rows.database]),
    }


def _write_codes(folder: Path, codes: HeadCodes) -> None:
    assert codes.packed is not None
    folder.mkdir()
    np.save(folder / "soft.npy", codes.soft, allow_pickle=False)
    np.save(folder / "packed.npy", codes.packed, allow_pickle=False)


def _write_neighbours(folder: Path, found: Searched) -> Figures:
    """Write the neighbours of each split; the figures that are there already."""
    folder.mkdir()
    for split, neighbours in found.neighbours.items():
        rows = neighbours.rows.astype(np.int32)
        np.save(folder / f"{split}-neighbours.npy", rows, allow_pickle=False)
        np.save(folder / f"{split}-similarities.npy", neighbours.similarities, allow_pickle=False)
    return {"retrieval": found.retrieval}


def _scores(
    folder: Path, labels: Labels, rows: SplitRows, knn: KnnParams
) -> dict[str, npt.NDArray[np.float32]]:
    """Scores of the vote by split, float32 [Q, C]."""
    if (folder / "packed.npy").exists():
        soft, packed = (load_array(folder / f"{n}.npy", remedy=_REMEDY) for n in ("soft", "packed"))
        codes, scores = HeadCodes(soft, packed, None), {}
        for split in QUERY_SPLITS:
            queries, database = rows.queries(split), rows.database_of(split)
            index = build_index(packed[database])
            found = predict(codes, index, labels, database, queries, knn)
            scores[split] = found.scores["knn"]
        return scores
    return {
        split: vote_scores(
            _read_neighbours(folder, split, knn.K, len(rows.database_of(split))),
            labels[rows.database_of(split)],
            knn.vote,
            tau=knn.tau,
            threshold=knn.threshold,
        )
        for split in QUERY_SPLITS
    }


def _read_neighbours(folder: Path, split: str, K: int, count: int) -> Neighbours:
    """The K nearest of those that were kept, of ``count`` items."""
    check_neighbour_count(K, count)
    rows, similarities = (
        load_array(folder / f"{split}-{name}.npy", remedy=_REMEDY)[:, :K]
        for name in ("neighbours", "similarities")
    )
    if rows.shape[1] < K:
        raise DataError(f"{folder}: {rows.shape[1]} neighbours are kept, knn.K = {K}", _REMEDY)
    return Neighbours(rows.astype(np.int64), similarities)
