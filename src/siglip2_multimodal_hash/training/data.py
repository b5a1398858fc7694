"""The embeddings and labels that a fit works on: on the card where they fit, else in the files."""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.features.lengths import Lengths
from siglip2_multimodal_hash.memory.limits import fits_card
from siglip2_multimodal_hash.models.config import CHUNK, SAMPLE
from siglip2_multimodal_hash.params import CaptionPolicy

NO_IMAGE = (
    "give the split images: by dataset.protocol, in the source and its split file, or for mojicoco "
    "by dataset.mojicoco"
)
# Rows that are looked at in one go where not all are in memory.
_PIECE = 8192


class MappedRows:
    """Some rows of an array, mostly a memory-mapped one, read when they are asked for.

    Stands in for the float32 tensor [n, D] that they would make, which at COCO's size takes 2 GB.
    What is read often stays in the operating system's cache, which all processes share.

    Args:
        array: [N, D].
        rows: int64 [n].
    """

    device = torch.device("cpu")
    dtype = torch.float32

    def __init__(self, array: npt.NDArray[np.floating], rows: npt.NDArray[np.int64]) -> None:
        self._array, self._rows = array, rows
        self.shape = torch.Size((len(rows), array.shape[1]))

    def __len__(self) -> int:
        return len(self._rows)

    def index_select(self, dim: int, rows: Tensor) -> Tensor:
        """Rows by number, float32 [B, D], as :meth:`torch.Tensor.index_select` gives them.

        Raises:
            ValueError: ``dim`` is not 0.
        """
        if dim:
            raise ValueError(f"dim = {dim}: rows are of dimension 0")
        return _float_tensor(self._array[self._rows[rows.numpy()]])

    def to(self, device: torch.device) -> Tensor:
        """All of them, on a card."""
        whole = torch.empty(self.shape, dtype=self.dtype, device=device)
        for piece in torch.split(torch.arange(len(self)), _PIECE):
            whole[piece[0] : piece[-1] + 1] = self.index_select(0, piece)
        return whole


Rows = Tensor | MappedRows


@dataclass(frozen=True, eq=False)
class TrainingData:
    """n images with one or more captions each.

    Raises:
        DataError: There is no image, shapes contradict each other, an image has no caption, or a
            value is not finite.
    """

    v_img: Rows  # float32 [n, D_i]
    captions: Rows  # float32 [m, D_t]; image i owns rows caption_offsets[i]:caption_offsets[i+1]
    caption_offsets: Tensor  # int64 [n + 1], on the CPU: captions are drawn there
    labels: Tensor  # float32 [n, C] of 0 and 1

    def __post_init__(self) -> None:
        n = self.v_img.shape[0]
        if not n:
            raise DataError("training split: it has no image", NO_IMAGE)
        if self.labels.shape[0] != n or self.caption_offsets.shape != (n + 1,):
            raise DataError(
                f"training split: {n} image embeddings, {self.labels.shape[0]} rows of labels and "
                f"{self.caption_offsets.shape[0]} caption offsets (one more than images expected)",
                _REMEDY,
            )
        counts = self.caption_offsets.diff()
        first, last = int(self.caption_offsets[0]), int(self.caption_offsets[-1])
        if int(counts.min()) < 1 or (first, last) != (0, len(self.captions)):
            raise DataError(
                "training split: every image needs a caption and every caption an image, but row "
                f"{int(counts.argmin())} has {int(counts.min())} and the offsets go from {first} "
                f"to {last} of {len(self.captions)} captions",
                _REMEDY,
            )
        _require_finite("training split: image embeddings", self.v_img)
        _require_finite("training split: caption embeddings", self.captions)

    def __len__(self) -> int:
        return self.v_img.shape[0]

    @classmethod
    def select(
        cls,
        rows: npt.NDArray[np.int64],
        *,
        image: npt.NDArray[np.float32],
        caption: npt.NDArray[np.float32],
        caption_offsets: npt.NDArray[np.int64],
        labels: npt.NDArray[np.uint8],
    ) -> Self:
        """Take some images, with their captions, out of the embeddings of a whole dataset.

        Args:
            rows: [n] rows of images.
            image: [N, D_i].
            caption: [M, D_t].
            caption_offsets: [N + 1].
            labels: [N, C].
        """
        starts, ends = caption_offsets[rows], caption_offsets[rows + 1]
        offsets = np.concatenate([[0], np.cumsum(ends - starts)]).astype(np.int64)
        # Row numbers of the captions: each image's run starts at starts[i] instead of offsets[i].
        caption_rows = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], ends - starts)
        return cls(
            v_img=MappedRows(image, rows),
            captions=MappedRows(caption, caption_rows),
            caption_offsets=torch.from_numpy(offsets),
            labels=_float_tensor(labels[rows]),
        )

    def draw_captions(self, generator: torch.Generator) -> Tensor:
        """One caption of each image, uniformly: int64 [n] rows of ``captions``, on the CPU."""
        counts = self.caption_offsets.diff()
        # uniform < 1 in steps of 2^-53, so that uniform * count < count even after rounding.
        uniform = torch.rand(len(counts), generator=generator, dtype=torch.float64)
        return self.caption_offsets[:-1] + (uniform * counts).long()

    def batch(self, rows: Tensor, captions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Images and captions [B, D_i] and [B, D_t] and labels [B, C], where the labels are.

        Args:
            rows: int64 [B], rows of images, where the embeddings are.
            captions: int64 [B], a row of ``captions`` for each.
        """
        device = self.labels.device
        v_img, v_txt = self.v_img.index_select(0, rows), self.captions.index_select(0, captions)
        return (
            v_img.to(device, non_blocking=True),
            v_txt.to(device, non_blocking=True),
            self.labels.index_select(0, rows.to(device, non_blocking=True)),
        )

    def sample(self, most: int = SAMPLE) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Each image with each of its captions, and its labels, in order; see :meth:`batch`.

        Of more than ``most`` pairs as many, evenly spaced.
        """
        pairs = len(self.captions)
        captions = torch.arange(pairs)
        if pairs > most:
            captions = torch.arange(most) * pairs // most
        images = torch.bucketize(captions, self.caption_offsets, right=True) - 1
        device = self.v_img.device
        for rows, chosen in zip(
            torch.split(images.to(device), CHUNK),
            torch.split(captions.to(device), CHUNK),
            strict=True,
        ):
            yield self.batch(rows, chosen)

    def sample_pairs(self) -> Iterator[tuple[Tensor, Tensor]]:
        """:meth:`sample` without labels."""
        return ((v_img, v_txt) for v_img, v_txt, _ in self.sample())

    def first_pairs(self, batch_size: int = CHUNK) -> Iterator[tuple[Tensor, Tensor]]:
        """Each image with the first of its captions, in order: [B, D_i] and [B, D_t]."""
        device = self.v_img.device
        firsts = self.caption_offsets[:-1].to(device)
        rows = torch.arange(len(self), device=device)
        for chunk in torch.split(rows, batch_size):
            v_img, v_txt, _ = self.batch(chunk, firsts.index_select(0, chunk))
            yield v_img, v_txt

    def evaluation_pairs(self, policy: CaptionPolicy) -> Iterator[tuple[Tensor, Tensor]]:
        """Each image with the caption embedding that evaluation uses, in order, as above."""
        if policy == "first":
            yield from self.first_pairs()
            return
        offsets = self.caption_offsets
        for rows in torch.split(torch.arange(len(self)), CHUNK):
            bounds = offsets[rows[0] : rows[-1] + 2]
            taken = torch.arange(int(bounds[0]), int(bounds[-1]), device=self.captions.device)
            captions = self.captions.index_select(0, taken).double()
            means = torch.segment_reduce(
                captions, "mean", offsets=(bounds - bounds[0]).to(captions.device), axis=0
            )
            yield self.v_img.index_select(0, rows.to(self.v_img.device)), means.float()

    def to(self, device: torch.device) -> Self:
        """The same data for a fit on ``device``: on a card all of it, or the labels if it is full.

        Elsewhere batches come from the files; see :meth:`batch`.
        """
        v_img, captions = self.v_img, self.captions
        size = 4 * (v_img.shape.numel() + captions.shape.numel())
        if device.type == "cuda" and fits_card(size, device):
            v_img, captions = v_img.to(device), captions.to(device)
        return type(self)(v_img, captions, self.caption_offsets, self.labels.to(device))


@dataclass(frozen=True, eq=False)
class ValidationData:
    """n images with one caption embedding each, chosen by a fixed policy.

    Raises:
        DataError: Shapes contradict each other, or a value is not finite.
    """

    v_img: Tensor  # float32 [n, D_i]
    v_txt: Tensor  # float32 [n, D_t]
    labels: Tensor  # float32 [n, C] of 0 and 1

    def __post_init__(self) -> None:
        sizes = {len(self.v_img), len(self.v_txt), len(self.labels)}
        if len(sizes) != 1 or 0 in sizes:
            raise DataError(
                f"validation split: {len(self.v_img)} image embeddings, {len(self.v_txt)} caption "
                f"embeddings and {len(self.labels)} rows of labels: must be equal and not 0",
                _REMEDY,
            )
        _require_finite("validation split: image embeddings", self.v_img)
        _require_finite("validation split: caption embeddings", self.v_txt)

    def __len__(self) -> int:
        return self.v_img.shape[0]

    @classmethod
    def select(
        cls,
        rows: npt.NDArray[np.int64],
        *,
        image: npt.NDArray[np.float32],
        caption: npt.NDArray[np.float32],
        labels: npt.NDArray[np.uint8],
    ) -> Self:
        """Take some images out of a whole dataset with one caption embedding per image.

        Args:
            rows: [n] rows.
            image: [N, D_i].
            caption: [N, D_t].
            labels: [N, C].
        """
        return cls(
            _float_tensor(image[rows]), _float_tensor(caption[rows]), _float_tensor(labels[rows])
        )

    def pairs(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Images and captions in order, :data:`CHUNK` at a time: [B, D_i] and [B, D_t]."""
        return zip(torch.split(self.v_img, CHUNK), torch.split(self.v_txt, CHUNK), strict=True)

    def to(self, device: torch.device) -> Self:
        """The same data on ``device``."""
        return type(self)(self.v_img.to(device), self.v_txt.to(device), self.labels.to(device))


_REMEDY = "the embeddings and the index do not belong together: run `dvc repro`"


def _float_tensor(array: npt.NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))


def row_lengths(v: Rows) -> Lengths:
    """Lengths of the rows of ``v``, in float64, where no length overflows."""
    least, most = math.inf, 0.0
    for start in range(0, len(v), _PIECE):
        rows = torch.arange(start, min(start + _PIECE, len(v)), device=v.device)
        norms = torch.linalg.vector_norm(v.index_select(0, rows), dim=-1, dtype=torch.float64)
        least, most = min(least, norms.min().item()), max(most, norms.max().item())
    return Lengths(least, most)


def rows_sha256(*tensors: Rows) -> str:
    """SHA-256 of dtypes, shapes and values of tensors, wherever they lie."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(f"{tensor.dtype} {list(tensor.shape)}\0".encode())
        for start in range(0, len(tensor), _PIECE):
            rows = torch.arange(start, min(start + _PIECE, len(tensor)), device=tensor.device)
            piece = tensor.index_select(0, rows).detach().cpu().contiguous().numpy()
            digest.update(piece.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _require_finite(name: str, v: Rows) -> None:
    for start in range(0, len(v), _PIECE):
        rows = torch.arange(start, min(start + _PIECE, len(v)), device=v.device)
        finite = v.index_select(0, rows).isfinite().all(dim=-1)
        if not finite.all():
            row = start + int((~finite).nonzero()[0, 0])
            raise DataError(
                f"{name}: row {row} holds NaN or infinity",
                "run the embed stage again with backbone.amp_dtype = float32",
            )
