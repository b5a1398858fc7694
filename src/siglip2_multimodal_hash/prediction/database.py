"""The database of a finished run: neighbours of photos, and captions that stand in for theirs."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import Vectors, check_size
from siglip2_multimodal_hash.datasets.index import DatasetIndex, read_index
from siglip2_multimodal_hash.evaluation.heads import Predictions, SplitRows, predict
from siglip2_multimodal_hash.evaluation.items import read_thresholds
from siglip2_multimodal_hash.features.store import Embeddings, load_embeddings
from siglip2_multimodal_hash.params import PREDICTORS, KnnParams
from siglip2_multimodal_hash.prediction.outputs import REMEDY, RunOutputs
from siglip2_multimodal_hash.retrieval.codes import binarize, unit_vectors
from siglip2_multimodal_hash.retrieval.index import CodeIndex, build_index, load_index
from siglip2_multimodal_hash.retrieval.index_kinds import Kind
from siglip2_multimodal_hash.retrieval.neighbours import Neighbours, SoftAndPacked
from siglip2_multimodal_hash.retrieval.search import search_cosine
from siglip2_multimodal_hash.retrieval.store import HeadCodes, read_head_codes

ALIKE = 20
"""Number of the database images most like a photo that count: their captions stand in for a
missing one, and their similarity shows whether the photo is like those of the dataset.
"""

# Images of val that photos are compared with: enough for a hundredth of them, quick on all of COCO.
_VAL = 1000
_LEAST_ALIKE = 1  # percentile


@dataclass(frozen=True, eq=False)
class Database:
    """The images that vote.

    Attributes:
        dataset: The index of the whole dataset.
        rows: int64 [N], the rows of it that are searched.
        embeddings: Of the whole dataset, mapped.
        codes: Of the N images.
        faiss: Over these codes.
        thresholds: Of each predictor, tuned on val.
    """

    dataset: DatasetIndex
    rows: npt.NDArray[np.int64]
    embeddings: Embeddings
    codes: SoftAndPacked
    faiss: CodeIndex
    thresholds: dict[str, float]

    def stand_in_captions(self, v_img: Vectors) -> Vectors:
        """A caption embedding for each photo that has no caption.

        The head was fitted on pairs. Without a caption a photo gets the mean (see
        :func:`mean_caption`) of the first captions of the :data:`ALIKE` database images most like
        it. On mojicoco val (mAP of knn, mlp and hybrid in percent) that gives 70.9, 78.4 and 76.6
        where the photos' own captions give 74.3, 81.9 and 79.7; the caption of the nearest image
        alone gives 68.2, 75.0 and 73.2, and the prompt "a photo of a X and a Y." of the two best
        zero-shot classes 70.3, 78.5 and 76.3. A mean of real captions needs no prompt that suits
        the towers, and no class that a zero-shot guess might miss.

        Args:
            v_img: float32 [n, D_i].

        Returns:
            float32 [n, D_t].
        """
        alike = self._most_alike(v_img).rows
        return mean_caption(self.embeddings.caption[self.embeddings.caption_offsets[alike]])

    def unlike_val(self, v_img: Vectors) -> npt.NDArray[np.bool_]:
        """Find photos that are less like the database than 99 of 100 images of val.

        By the mean cosine to the :data:`ALIKE` most alike, of the image embeddings: the
        codes do not tell, since the head gives any photo some code near others. On the towers of
        mojicoco this holds for 80% of COCO's photos and for 0.8% of mojicoco's own test images; the
        distance to the nearest code alone, for 22% and 0.7%.

        Args:
            v_img: float32 [n, D_i].

        Returns:
            bool [n].
        """
        val = SplitRows.of(self.dataset).val
        val = val[:: -(-len(val) // _VAL)]
        queries = np.concatenate([self.embeddings.image[val], v_img])
        alike = self._most_alike(queries).similarities.mean(axis=1)
        least = np.percentile(alike[: len(val)], _LEAST_ALIKE)
        unlike: npt.NDArray[np.bool_] = alike[len(val) :] < least
        return unlike

    @cached_property
    def _images(self) -> tuple[npt.NDArray[np.int64], CodeIndex]:
        """Rows of the database, without those of val that it may hold, and an index over them."""
        rows = SplitRows.of(self.dataset).database_of("val")
        return rows, build_index(unit_vectors(self.embeddings.image[rows]))

    def _most_alike(self, v_img: Vectors) -> Neighbours:
        """The :data:`ALIKE` images most like each photo, as rows of the dataset."""
        rows, index = self._images
        found = search_cosine(index, v_img, min(ALIKE, len(rows)))
        return Neighbours(rows[found.rows], found.similarities)

    def vote(self, soft: Vectors, scores: Vectors, knn: KnnParams) -> Predictions:
        """Predict the labels of photos.

        A photo that is in the database finds itself there: it is not left out.

        Args:
            soft: Their soft codes, or unit vectors without a hash layer; [n, D].
            scores: The classifier's, float32 [n, C].
            knn: Settings of the search and the vote.

        Raises:
            InputError: ``knn.K`` is more than the database has.
        """
        n, (stored, packed) = len(self.rows), self.codes
        # The classifier is asked about the photos alone.
        unasked = np.zeros((n, scores.shape[1]), dtype=np.float32)
        codes = HeadCodes(
            np.concatenate([stored, soft]),
            None if packed is None else np.concatenate([packed, binarize(soft)]),
            np.concatenate([unasked, scores]),
        )
        photos = np.arange(n, n + len(soft))
        labels = self.dataset.labels()[self.rows]
        return predict(codes, self.faiss, labels, np.arange(n), photos, knn)


def load_database(outputs: RunOutputs, kind: Kind) -> Database:
    """Read it, with an index that must be of this kind.

    Raises:
        DataError: An output is damaged, or they are of different runs.
    """
    dataset = read_index(outputs.index)
    rows = dataset.rows("database")
    embeddings = load_embeddings(outputs.embeddings)
    codes = read_head_codes(outputs.codes)
    images, captions = len(dataset.frame), int(dataset.caption_offsets()[-1])
    check_size("rows of the codes", len(codes.soft), "of the index", images)
    check_size("rows of the embeddings", len(embeddings.image), "of the index", images)
    check_size("captions embedded", len(embeddings.caption), "in the index", captions)
    faiss = load_index(outputs.faiss, codes.searchable()[rows], kind)
    thresholds = read_thresholds(outputs.figures, PREDICTORS, REMEDY)
    return Database(dataset, rows, embeddings, codes.rows(rows), faiss, thresholds)


def mean_caption(captions: Vectors) -> Vectors:
    """The mean direction of K captions, at the mean of their log-magnitudes.

    Direction and magnitude are the parts into which the head decomposes a caption.

    Args:
        captions: float32 [n, K, D_t].

    Returns:
        float32 [n, D_t].
    """
    vectors = captions.astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=2).clip(np.finfo(np.float32).tiny)
    directions = (vectors / lengths[..., None]).mean(axis=1)
    shrunk = np.linalg.norm(directions, axis=1, keepdims=True).clip(np.finfo(np.float32).tiny)
    mean: Vectors = (
        directions / shrunk * np.exp(np.log(lengths).mean(axis=1, keepdims=True))
    ).astype(np.float32)
    return mean
