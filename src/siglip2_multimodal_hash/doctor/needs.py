"""How much memory and disk a run will need, by arithmetic; sizes in bytes.

N images, M captions, C classes; D_i and D_t the widths of their embeddings; a tower of width D,
MLP width F and T positions; B the batch. What is a bound and not exact errs upwards.

The card holds one of two things at a time:

- ``embed``: the weights, 4 bytes each whatever ``amp_dtype`` says, because autocast converts on
  the way; and B items inside one layer. Without gradients nothing is kept from layer to layer, so
  depth costs nothing. A position has 2 D values that stay float32 (the residual and its norm), 4 D
  of attention (query, key, value, output; the fused kernel keeps no T x T matrix) and 2 F of the
  MLP (before and after the activation), and PyTorch's allocator keeps the blocks of both: B T
  (6 D + 2 F) * 4 bytes. In ``bfloat16`` and ``float16`` on a card it is B T (2 D * 4 + (6 D + 2 F)
  * 2): autocast halves what is not the residual and adds two half copies of the norm. A CPU
  computes them by way of float32 and saves nothing.
- ``train``: the embeddings of the training and validation splits with their labels, 4 (N D_i +
  M D_t + N C); the head at 20 bytes a weight (itself, gradient, AdamW's two moments, best epoch so
  far); and one chunk of pairs inside the head.

Beside either stands what CUDA itself takes. The main memory holds the same embeddings while they
are read, and the images that the workers have ahead of the towers; without a card it takes what
the card would, and twice what ``train`` takes, because two variants are fitted at a time.
"""

import itertools
from dataclasses import dataclass

from siglip2_multimodal_hash.doctor.towers import Tower, TowerSizes
from siglip2_multimodal_hash.kernels import THREADS
from siglip2_multimodal_hash.models.config import BILINEAR_RANK, HeadConfig
from siglip2_multimodal_hash.params import Params

GIB = 2**30

CUDA_CONTEXT = int(0.7 * GIB)
"""Context, kernels and workspaces of cuBLAS."""
PROCESS = int(1.5 * GIB)
"""The interpreter with PyTorch, transformers, FAISS and pandas loaded."""
VALIDATION_CHUNK = 2048
CLASSES = 80
QUERY_SHARE = 0.1
"""Share of the images that are queries, for which evaluation keeps three rows of scores."""

_FLOAT = 4
_BYTES_A_WEIGHT = 20
_PNG_BYTES_A_PIXEL = 0.7  # of mojicoco's scenes: 85.6 MB for 8,000 of 128 x 128
_COCO_PIXELS = 640 * 480
_VARIANTS = 4  # beside the head itself; classifiers without a code leave figures alone


@dataclass(frozen=True)
class DatasetSize:
    """N images with M captions, of some number of pixels each; and the bytes to render them."""

    images: int
    captions: int
    pixels: int
    rendered: int


@dataclass(frozen=True)
class Needs:
    """What a run will need at most.

    Attributes:
        embed: Of the device, while the towers run.
        train: Of the device, while the head is trained.
        ahead: Of the main memory: images that were read ahead of the towers.
        ram: Of the main memory in all.
        outputs: Of the disk: data and outputs of one run.
        disk: The same with the copy that DVC's cache keeps.
    """

    embed: int
    train: int
    ahead: int
    ram: int
    outputs: int
    disk: int

    @property
    def device(self) -> int:
        """Of the card, at any time."""
        return max(self.embed, self.train)


def dataset_size(params: Params) -> DatasetSize:
    """Mojicoco by its parameters; COCO 2014 as published, which no part of it exceeds."""
    if params.dataset.name == "coco2014":
        return DatasetSize(123_287, 616_767, _COCO_PIXELS, 0)
    scenes = params.dataset.mojicoco
    images = scenes.train + scenes.restval + scenes.val + scenes.test
    pixels = scenes.image_size**2
    return DatasetSize(images, 5 * images, pixels, int(images * pixels * _PNG_BYTES_A_PIXEL))


def estimate(params: Params, towers: TowerSizes, *, cuda: bool) -> Needs:
    """The needs of ``params`` on a card or without one.

    Raises:
        HeadConfigError: See :func:`head_of`.
    """
    size = dataset_size(params)
    head = head_of(params, towers)
    loader = params.runtime.dataloader
    embeddings = _FLOAT * (size.images * towers.image.width + size.captions * towers.caption_dim)
    labels = _FLOAT * size.images * CLASSES
    half = cuda and params.backbone.amp_dtype != "float32"
    chunk = max(VALIDATION_CHUNK, loader.inference_batch_size)
    embed = _FLOAT * towers.parameters + max(
        layer_bytes(towers.image, loader.embed_batch_size, half=half)
        + _FLOAT * towers.input_values * loader.embed_batch_size,
        layer_bytes(towers.text, loader.embed_batch_size, half=half),
    )
    inside = _FLOAT * chunk * (3 * head.input_dim + 2 * sum(head.mlp_dims))
    train = embeddings + labels + _BYTES_A_WEIGHT * head_weights(head) + inside
    ahead = read_ahead_bytes(params, towers, size)
    fits = 1 if cuda else max(1, min(THREADS, loader.num_workers))
    processes = PROCESS * (1 + fits if fits > 1 else 1)
    reading = PROCESS + ahead + (_FLOAT * towers.parameters if cuda else embed)
    ram = max(reading, processes + fits * train)
    outputs = size.rendered + embeddings + _output_bytes(params, head, size)
    context = CUDA_CONTEXT if cuda else 0
    return Needs(embed + context, train + context, ahead, ram, outputs, 2 * outputs)


def layer_bytes(tower: Tower, batch: int, *, half: bool) -> int:
    """What B items take inside one layer, see above; ``half`` is autocast on a card."""
    width, mlp_width = tower.width, tower.mlp_width
    values = 6 * width + 2 * mlp_width
    a_position = 2 * _FLOAT * width + 2 * values if half else _FLOAT * values
    return batch * tower.positions * a_position


def read_ahead_bytes(params: Params, towers: TowerSizes, size: DatasetSize) -> int:
    """Images in main memory: each of W workers decodes one batch, and 2 W + 1 wait prepared."""
    loader = params.runtime.dataloader
    workers, batch = max(1, loader.num_workers), loader.embed_batch_size
    decoded = workers * batch * 3 * size.pixels
    return decoded + (2 * workers + 1) * batch * _FLOAT * towers.input_values


def head_weights(head: HeadConfig) -> int:
    """Weights and biases of the whole head."""
    widths = [head.mlp_input_dim, *head.mlp_dims, *([head.bits] if head.bits else []), head.classes]
    layers = sum((a + 1) * b for a, b in itertools.pairwise(widths))
    adapters = 0 if head.adapter == "none" else head.image_dim**2 + head.caption_dim**2
    projections = head.project_dim * (head.image_dim + head.caption_dim)
    return layers + adapters + projections + _interaction_weights(head)


def _interaction_weights(head: HeadConfig) -> int:
    if head.fusion == "gated":
        return (head.input_dim + 1) * head.input_dim
    if head.fusion == "low_rank_bilinear":
        return (head.input_dim + 2) * BILINEAR_RANK * head.mlp_input_dim
    return 0


def head_of(params: Params, towers: TowerSizes) -> HeadConfig:
    """The head that ``train`` will build on these towers.

    Raises:
        HeadConfigError: Their widths do not suit the fusion or the loss.
    """
    return HeadConfig.from_params(
        params.decomposer,
        params.fusion,
        params.hash,
        params.classifier,
        cosine_weight=params.loss.cosine_weight,
        image_dim=towers.image.width,
        caption_dim=towers.caption_dim,
        classes=CLASSES,
    )


def _output_bytes(params: Params, head: HeadConfig, size: DatasetSize) -> int:
    """Checkpoints, codes and scores of every head, predictions, the database."""
    keep = params.checkpointing
    checkpoints = 1 + keep.save_top_k + keep.save_last
    if keep.save_every_n_epochs:
        checkpoints += params.training.num_epochs // keep.save_every_n_epochs
    codes = _FLOAT * (head.code_dim + CLASSES) + head.bits // 8
    row = (1 + _VARIANTS) * codes + codes
    queries = int(QUERY_SHARE * size.images) * 3 * _FLOAT * CLASSES
    return checkpoints * _FLOAT * head_weights(head) + size.images * row + queries
