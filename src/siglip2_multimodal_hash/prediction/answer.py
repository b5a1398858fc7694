"""What a user is told about a photo: tags, and the neighbours that voted for them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.params import KnnParams

ALIKE = 20
"""Database images that look most like a photo: their captions stand in for a missing one (see
:mod:`.captions`), and how alike they are tells whether the photo is like those of the dataset.
"""

CaptionFrom = Literal["given", "nearest_images", "unused"]
"""Where the caption came from that the head was shown."""

SHARED_BY = "hybrid"
"""The predictor whose tags a neighbour's labels are compared with."""

CAPTION_NOTES: dict[CaptionFrom, str] = {
    "given": "given",
    "nearest_images": "none given: the mean of the captions of the "
    f"{ALIKE} database images that look most like the photo stands in",
    "unused": "not used: this head takes images alone",
}

UNLIKE = (
    f"this photo is unlike the dataset: the {ALIKE} database images most like it are less so than "
    "those of 99 of 100 images of val, so its tags say little"
)
"""The warning of a photo for which :meth:`.database.Database.unlike_val` holds."""


@dataclass(frozen=True)
class Tag:
    """A class with its scores.

    Attributes:
        name: Of the class.
        scores: By predictor, 0 to 1.
        above: The predictors whose score reaches the threshold tuned on val.
    """

    name: str
    scores: dict[str, float]
    above: tuple[str, ...]


@dataclass(frozen=True)
class Neighbour:
    """A database image that voted.

    Attributes:
        image_id: Of the dataset.
        file_name: Under ``images/``.
        distance: Bits that differ, or 1 less the cosine; see ``knn.distance``.
        similarity: 0 to 1.
        weight: In the vote; the weights of a photo's neighbours sum to 1.
        labels: Its labels.
        shared: Those of them that are predicted for the photo.
        caption: Its first caption.
    """

    image_id: int
    file_name: str
    distance: float
    similarity: float
    weight: float
    labels: tuple[str, ...]
    shared: tuple[str, ...]
    caption: str


@dataclass(frozen=True)
class Prediction:
    """One photo.

    Attributes:
        path: The file.
        caption: As given.
        caption_from: What the head took for a caption.
        distance: What the neighbours' distance is: ``hamming`` or ``cosine``.
        thresholds: Of each predictor.
        predicted: The classes at or above the threshold of :data:`SHARED_BY`, best first.
        tags: The best of every predictor, by falling score of :data:`SHARED_BY`.
        neighbours: Nearest first.
        warning: Why not to trust the tags; None where nothing speaks against them.
    """

    path: Path
    caption: str | None
    caption_from: CaptionFrom
    distance: str
    thresholds: dict[str, float]
    predicted: tuple[str, ...]
    tags: tuple[Tag, ...]
    neighbours: tuple[Neighbour, ...]
    warning: str | None = None


@dataclass(frozen=True, eq=False)
class Question:
    """What the database is asked about n photos.

    Attributes:
        paths: The photos.
        image: Their embeddings, float32 [n, D_i]; None where the head does not look at images.
        soft: Their soft codes, or unit vectors without a hash layer; float32 [n, D].
        scores: The classifier's, float32 [n, C].
        caption: As given.
        caption_from: What the head took for a caption.
        knn: How to search and vote.
        top: Tags of each predictor that are told.
    """

    paths: tuple[Path, ...]
    image: npt.NDArray[np.float32] | None
    soft: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    caption: str | None
    caption_from: CaptionFrom
    knn: KnnParams
    top: int
