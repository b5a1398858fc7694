"""Features of real COCO photos and captions with their real labels, and the splits of a run.

Nothing of COCO is part of the project: features and annotations are read from folders given. Image
ids are COCO's; :class:`.RealLabels` says where the labels stand.
"""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from benchmarks.real_labels import CLASSES, read_real_labels, rows_of
from siglip2_multimodal_hash.arrays import Labels, Rows, Vectors, load_array
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.evaluation.heads import SplitRows
from siglip2_multimodal_hash.features.store import Embeddings

TFIDF_DIMENSIONS = 256

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class RealData:
    """N images and the parts that are given; the others are cut out of ``pool``.

    Attributes:
        labels: uint8 [N, 80].
        embeddings: A modality that there is not is 0 wide, as the class prompts are.
        pool: Images that may be trained on.
        val: None: a part of the pool.
        test: None: the folds of a cross-validation of the pool.
    """

    labels: Labels
    embeddings: Embeddings
    pool: Rows
    val: Rows | None = None
    test: Rows | None = None

    def splits(self, *, folds: int, val: int, train: int | None, seed: int) -> list[SplitRows]:
        """The splits of one seed: one, or a fold each; train is the database.

        Args:
            folds: Of the cross-validation, where no test part is given.
            val: Images that are held out for val, where none are given.
            train: Images to train on, all that are left if None. The smaller of two such numbers
                takes a part of what the larger one takes.
            seed: Of the order in which images are dealt out.

        Raises:
            InputError: There are too few images.
        """
        pool = np.random.default_rng(seed).permutation(self.pool)
        if self.test is None and not 2 <= folds <= len(pool):
            raise InputError(f"--folds {folds}: must be from 2 to the {len(pool)} images")
        found = []
        for test in np.array_split(pool, folds) if self.test is None else [self.test]:
            rest = pool[~np.isin(pool, test)]
            held_out = self.val
            if held_out is None:
                held_out, rest = rest[:val], rest[val:]
            if len(rest) < (train or 1):
                raise InputError(
                    f"--train {train or 1}: {len(rest)} images are left beside val and test",
                    "lower --train or --val, or use more folds",
                )
            # Without a subset the order of the files, whatever the seed.
            chosen = np.sort(rest[:train])
            found.append(SplitRows(chosen, np.sort(held_out), np.sort(test), database=chosen))
        return found


def read_pairs(features: Path, annotations: Path) -> RealData:
    """Photos of which there are captions, each with all of its captions; for cross-validation."""
    caption_ids = _load(features, "photo_caption_ids")
    ids, counts = np.unique(caption_ids, return_counts=True)
    captions = _load(features, "photo_caption_features")[np.argsort(caption_ids, kind="stable")]
    photos = _load(features, "photo_features")[rows_of(_load(features, "photo_ids"), ids)]
    return RealData(
        read_real_labels(annotations).of(ids),
        _embeddings(photos, captions, np.cumsum([0, *counts])),
        pool=np.arange(len(ids)),
    )


def read_captions(features: Path, annotations: Path) -> RealData:
    """First captions of restval, tested on those of Karpathy's val."""
    ids = _load(features, "caption_ids")
    first = _load(features, "caption_first")
    is_test = np.isin(ids, _karpathy(annotations, "val"))
    return RealData(
        read_real_labels(annotations).of(ids),
        _embeddings(first[:, :0], first, np.arange(len(ids) + 1)),
        pool=np.flatnonzero(~is_test),
        test=np.flatnonzero(is_test),
    )


def read_views(features: Path, annotations: Path) -> RealData:
    """:func:`read_captions`, and the mean of an image's other captions in the place of a photo."""
    data = read_captions(features, annotations)
    first, offsets = data.embeddings.caption, data.embeddings.caption_offsets
    others = _load(features, "caption_others_mean")
    return RealData(
        data.labels, _embeddings(others, first, offsets), data.pool, data.val, data.test
    )


def read_tfidf(_features: Path, annotations: Path) -> RealData:
    """All captions of Karpathy's restval, val and test, with no more than scikit-learn carries.

    TF-IDF over one and two words, reduced by truncated SVD (latent semantic analysis), both fitted
    on the captions of restval.
    """
    path = annotations / "captions_val2014.json.gz"
    try:
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            records = json.load(stream)["annotations"]
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", "name another --annotations") from None
    captions: dict[int, list[str]] = {}
    for record in sorted(records, key=lambda record: record["id"]):
        captions.setdefault(record["image_id"], []).append(record["caption"])
    parts = [_karpathy(annotations, name) for name in ("restval", "val", "test")]
    ids = np.concatenate(parts)
    texts = [text for one in ids.tolist() for text in captions[one]]
    offsets = np.cumsum([0, *(len(captions[one]) for one in ids.tolist())])
    train, val, test = np.split(np.arange(len(ids)), np.cumsum([len(part) for part in parts])[:-1])
    # Without a length of its own, every text would have the magnitude 1.
    tfidf = TfidfVectorizer(ngram_range=(1, 2), min_df=10, sublinear_tf=True, norm=None)
    svd = TruncatedSVD(TFIDF_DIMENSIONS, random_state=0)
    svd.fit(tfidf.fit_transform(texts[: offsets[len(train)]]))
    vectors = svd.transform(tfidf.transform(texts)).astype(np.float32)
    photos = np.empty((len(ids), 0), dtype=np.float32)
    return RealData(
        read_real_labels(annotations).of(ids),
        _embeddings(photos, vectors, offsets),
        train,
        val,
        test,
    )


READERS: dict[str, Callable[[Path, Path], RealData]] = {
    "pairs": read_pairs,
    "captions": read_captions,
    "views": read_views,
    "tfidf": read_tfidf,
}
"""By name the readers of ``(features, annotations)``."""


def _embeddings(image: Vectors, caption: Vectors, offsets: npt.NDArray[np.int64]) -> Embeddings:
    prompt = np.empty((CLASSES, 0), dtype=np.float32)
    return Embeddings(image, caption, offsets.astype(np.int64), prompt, meta={})


def _load(folder: Path, name: str) -> npt.NDArray[Any]:
    array = load_array(folder / f"{name}.npy", remedy="name another folder for --features")
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _karpathy(annotations: Path, part: str) -> Ids:
    path = annotations / "karpathy" / f"{part}_ids.txt"
    try:
        return np.array(path.read_text(encoding="utf-8").split(), dtype=np.int64)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", "name another --annotations") from None
