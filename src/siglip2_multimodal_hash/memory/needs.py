"""Memory and disk that a run takes, by arithmetic; sizes in bytes.

N images, M captions, C classes; D_i and D_t the widths of their embeddings; a tower of width D,
MLP width F, L layers and T positions; B the batch. What is a bound and not exact errs upwards.

**A run** holds one of two things at a time on the card:

- ``embed``: the weights, 4 bytes each whatever ``amp_dtype`` says, because autocast converts on
  the way; and B items inside one layer. Without gradients nothing is kept from layer to layer, so
  depth costs nothing. A position has 2 D values that stay float32 (the residual and its norm), 4 D
  of attention (query, key, value, output; the fused kernel keeps no T x T matrix) and 2 F of the
  MLP (before and after the activation), and PyTorch's allocator keeps the blocks of both: B T
  (6 D + 2 F) * 4 bytes. In ``bfloat16`` and ``float16`` on a card it is B T (2 D * 4 + (6 D + 2 F)
  * 2): autocast halves what is not the residual and adds two half copies of the norm. A CPU
  computes them by way of float32 and saves nothing.
- ``train``: the head at 20 bytes per weight (itself, gradient, AdamW's two moments, best epoch
  so far); one chunk of pairs inside the head; and on a card the embeddings of the training and
  validation splits with their labels, 4 (N D_i + M D_t + N C). A CPU reads them from their files.

Beside either stands what CUDA itself takes. **The main memory** holds, beside the interpreter and
the index's captions, the images that the workers have ahead of the towers, then:

- in a fit, one caption's embedding of each image, 4 N D_t; the labels; what a shortcut is solved
  from, the MLP's input for a sample of pairs, float32 in batches and joined, and a third as much
  for products with it, 12 bytes per value; and a block of images against sets of labels. Without a
  card also what the card would hold, and two variants are fitted at a time, of which the second
  sees one modality alone;
- in the linear probe, its input [n, D_i + D_t] thrice: joined, standardised, and in products;
- for untrained codes, the directions [N, D_i + D_t] four times: as they are, as unit vectors,
  sorted to find equal ones, and in parts.

Mapped files, which the system may drop, are left out. At COCO's size (D = 768 twice, no card)
`benchmarks/coco_scale.py` measured 2.1 GiB in ``train``, 3.4 with two variants, 3.1 in the probe
and 3.5 for untrained codes; here they are 2.1, 4.0, 2.8 and 3.2.

**The tuning of the towers** sends B pairs through both of them at a time.

- Weights: 4 per weight, float32 whatever the precision. Under autocast the layers also keep a half
  copy of theirs until the backward pass: 2 more.
- What is trained: 4 per weight for the gradient and 8 for AdamW's two moments. The best epoch's
  copy lies in main memory: 4 more there.
- Activations that a layer keeps for the backward pass, per position: the input and output of both
  norms (4 D), query, key, value, the attended values and their copy (5 D), and the MLP before and
  after its activation (2 F); the fused attention kernel keeps no T x T matrix. In float32 that is
  4 (9 D + 2 F). Autocast halves all but three of the norms' values: 12 D + 2 (7 D + 2 F). An
  adapter of rank r keeps r values more.
- Outside its layers a tower keeps what the pooling head sees: 4 * 5 D per position; and its input.
- With gradient checkpointing a layer keeps its input alone, 4 D per position, and one layer at a
  time is computed again.
- The backward pass holds the gradients of one layer's activations beside all this.
"""

import itertools
from dataclasses import dataclass, replace
from pathlib import Path

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.files import size_text
from siglip2_multimodal_hash.kernels import THREADS
from siglip2_multimodal_hash.memory.towers import Tower, TowerSizes
from siglip2_multimodal_hash.models.config import (
    BILINEAR_RANK,
    BLOCK_ROWS,
    CHUNK,
    LANDMARKS,
    RESIDUAL_REDUCTION,
    SAMPLE,
    HeadConfig,
)
from siglip2_multimodal_hash.params import OWN_KINDS, Params

GIB = 2**30
CUDA_CONTEXT = int(0.7 * GIB)
"""Context, kernels and workspaces of cuBLAS."""
PROCESS = int(0.3 * GIB)
"""The interpreter with PyTorch, transformers, FAISS and pandas loaded, without mapped files."""
TUNING_PROCESS = int(1.0 * GIB)
"""The same without FAISS."""
CLASSES = 80
QUERY_SHARE = 0.1
"""Share of the images that are queries, for which evaluation keeps three rows of scores."""

_FLOAT = 4
_CAPTION = 100  # the text with its share of a row
_BYTES_PER_WEIGHT = 20
_TUNED_HEAD_BYTES = 16  # itself, gradient, two moments
_PNG_BYTES_PER_PIXEL = 0.7  # of mojicoco's scenes: 85.6 MB for 8,000 of 128 x 128
_COCO_PIXELS = 640 * 480
_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_JPEG_BYTES_PER_PIXEL = 0.5  # of COCO's photos: 160 KB of 640 x 480
_LINEAR_CODES = 3  # LSH, PCA-sign and ITQ
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
    """Peak needs of a run, in bytes.

    Attributes:
        embed: Of the device, while the towers run.
        train: Of the device, while the head is trained.
        ahead: Of the main memory: images that were read ahead of the towers.
        ram: Of the main memory in all.
        outputs: Of the disk: data and outputs of one run.
        disk: The same with the copy that DVC's cache keeps.
        largest: Parameter that ``train`` depends on most; empty where it is the embeddings.
    """

    embed: int
    train: int
    ahead: int
    ram: int
    outputs: int
    disk: int
    largest: str = ""

    @property
    def device(self) -> int:
        """Peak need of GPU memory."""
        return max(self.embed, self.train)


def dataset_size(params: Params) -> DatasetSize:
    """Mojicoco by its parameters; COCO 2014 as published, which no part of it exceeds.

    An own dataset by the image files below its root, at five captions each; those of archives are
    not counted.
    """
    if params.dataset.kind in OWN_KINDS:
        found = Path(params.runtime.dataset_root).rglob("*")
        sizes = [
            p.stat().st_size for p in found if p.suffix.lower() in _IMAGE_SUFFIXES and p.is_file()
        ]
        if sizes:
            pixels = int(sum(sizes) / len(sizes) / _JPEG_BYTES_PER_PIXEL)
            return DatasetSize(len(sizes), 5 * len(sizes), pixels, 0)
    if params.dataset.kind != "mojicoco":
        return DatasetSize(123_287, 616_767, _COCO_PIXELS, 0)
    scenes = params.dataset.mojicoco
    images = scenes.train + scenes.restval + scenes.val + scenes.test
    pixels = scenes.image_size**2
    return DatasetSize(images, 5 * images, pixels, int(images * pixels * _PNG_BYTES_PER_PIXEL))


def run_needs(params: Params, towers: TowerSizes, *, cuda: bool) -> Needs:
    """The needs of ``params`` on a card or without one.

    Raises:
        ParamsError: Their widths do not suit the fusion or the loss.
    """
    size = dataset_size(params)
    head = HeadConfig.from_params(params, towers.image.width, towers.caption_dim, CLASSES)
    loader = params.runtime.dataloader
    embeddings = _FLOAT * (size.images * towers.image.width + size.captions * towers.caption_dim)
    labels = _FLOAT * size.images * CLASSES
    half = cuda and params.backbone.amp_dtype != "float32"
    embed = _FLOAT * towers.parameters + max(
        layer_bytes(towers.image, loader.embed_batch_size, half=half)
        + _FLOAT * towers.image.input_values * loader.embed_batch_size,
        layer_bytes(towers.text, loader.embed_batch_size, half=half),
    )
    of_head = _head_bytes(head, loader.inference_batch_size)
    ahead = read_ahead_bytes(params, towers, size)
    process = PROCESS + _CAPTION * size.captions
    reading = process + ahead + (_FLOAT * towers.parameters if cuda else embed)
    widths = (towers.image.width, towers.caption_dim)
    beside = labels + _FLOAT * size.images * towers.caption_dim
    fitting = beside + _solving_bytes(params, head.mlp_input_dim, size) + (0 if cuda else of_head)
    second = beside + _solving_bytes(params, max(widths), size) + of_head
    two = not cuda and min(THREADS, loader.num_workers) > 1
    joined = _FLOAT * size.images * sum(widths)
    ram = max(
        reading,
        3 * process + fitting + second if two else process + fitting,
        process + 3 * joined + _FLOAT * size.images * towers.caption_dim,
        process + 4 * joined * params.baselines.untrained,
    )
    train = embeddings + labels + of_head if cuda else fitting
    outputs = size.rendered + embeddings + _output_bytes(params, head, size)
    context = CUDA_CONTEXT if cuda else 0
    largest = "" if of_head < embeddings else _largest(head, loader.inference_batch_size)
    return Needs(embed + context, train + context, ahead, ram, outputs, 2 * outputs, largest)


def layer_bytes(tower: Tower, batch: int, *, half: bool) -> int:
    """Values of B items inside one layer, without gradients; ``half`` is autocast on a card."""
    width, mlp_width = tower.width, tower.mlp_width
    values = 6 * width + 2 * mlp_width
    per_position = 2 * _FLOAT * width + 2 * values if half else _FLOAT * values
    return batch * tower.positions * per_position


def read_ahead_bytes(params: Params, towers: TowerSizes, size: DatasetSize) -> int:
    """Images in main memory: each of W workers decodes one batch, and 2 W + 1 wait prepared."""
    loader = params.runtime.dataloader
    workers, batch = max(1, loader.num_workers), loader.embed_batch_size
    decoded = workers * batch * 3 * size.pixels
    return decoded + (2 * workers + 1) * batch * _FLOAT * towers.image.input_values


def require_head(head: HeadConfig, free: int) -> None:
    """Refuse a head whose weights do not fit, before they are made.

    Args:
        head: The head.
        free: Of the card or the main memory.

    Raises:
        InputError: They do not; the message names the parameter that they depend on most.
    """
    weights = head_weights(head)
    needed = _TUNED_HEAD_BYTES * weights
    if needed > free:
        name = _largest(head, 0)
        raise InputError(
            f"{name}: a head of {weights:,} weights takes about {size_text(needed)} to train, and "
            f"{size_text(free)} are free",
            f"lower {name}" if name != "fusion.type" else "choose another fusion.type",
        )


def _head_bytes(head: HeadConfig, batch: int) -> int:
    """Weights, and one chunk of pairs inside the head."""
    inside = _FLOAT * max(CHUNK, batch) * (3 * head.input_dim + 2 * sum(head.mlp_dims))
    return _BYTES_PER_WEIGHT * head_weights(head) + inside


def _solving_bytes(params: Params, width: int, size: DatasetSize) -> int:
    """The sample that a shortcut is solved from, by the width of the MLP's input, and labels."""
    closed_form = params.training.closed_form
    if not params.hash.has_shortcut or not (closed_form or params.hash.shortcut == "itq"):
        return 0
    block = 3 * 8 * LANDMARKS * min(BLOCK_ROWS, size.images) if closed_form else 0
    return 3 * _FLOAT * min(SAMPLE, size.captions) * width + block


def _largest(head: HeadConfig, batch: int) -> str:
    """The parameter without which a head would need least."""
    without = {
        "runtime.dataloader.inference_batch_size": (head, 0),
        "fusion.mlp_dims": (head.model_copy(update={"mlp_dims": (1,) * len(head.mlp_dims)}), batch),
        "fusion.type": (head.model_copy(update={"fusion": "concat"}), batch),
        "decomposer.adapter": (head.model_copy(update={"adapter": "none"}), batch),
    }
    if head.project_dim:
        without["fusion.project_dim"] = (head.model_copy(update={"project_dim": 1}), batch)
    return min(without, key=lambda name: _head_bytes(*without[name]))


def head_weights(head: HeadConfig) -> int:
    """Weights and biases of the whole head."""
    widths = [head.mlp_input_dim, *head.mlp_dims, *([head.bits] if head.bits else []), head.classes]
    layers = sum((a + 1) * b for a, b in itertools.pairwise(widths))
    adapters = sum(_adapter_weights(head, dim) for dim in (head.image_dim, head.caption_dim))
    projections = head.project_dim * (head.image_dim + head.caption_dim)
    shortcut = head.bits * head.mlp_input_dim if head.shortcut else 0
    return layers + adapters + projections + shortcut + _interaction_weights(head)


def _adapter_weights(head: HeadConfig, dim: int) -> int:
    if head.adapter == "residual":
        inner = max(1, dim // RESIDUAL_REDUCTION)
        return (dim + 1) * inner + (inner + 1) * dim
    return dim**2 if head.adapter == "linear" else 0


def _interaction_weights(head: HeadConfig) -> int:
    if head.fusion == "gated":
        return (head.input_dim + 1) * head.input_dim
    if head.fusion == "low_rank_bilinear":
        return (head.input_dim + 2) * BILINEAR_RANK * head.mlp_input_dim
    return 0


def _output_bytes(params: Params, head: HeadConfig, size: DatasetSize) -> int:
    """Checkpoints, codes and scores of every head, predictions, the database."""
    keep = params.checkpointing
    checkpoints = 1 + keep.save_top_k + keep.save_last
    if keep.save_every_n_epochs:
        checkpoints += params.training.num_epochs // keep.save_every_n_epochs
    codes = _FLOAT * (head.code_dim + CLASSES) + head.bits // 8
    row = (1 + _VARIANTS) * codes + codes
    query = 3 * _FLOAT * CLASSES
    if params.baselines.untrained:
        row += _LINEAR_CODES * (_FLOAT * head.bits + head.bits // 8)
        # Row and similarity of each neighbour, of the float vectors and of PQ.
        query += 2 * 2 * _FLOAT * params.kept_neighbours
    queries = int(QUERY_SHARE * size.images) * query
    return checkpoints * _FLOAT * head_weights(head) + size.images * row + queries


@dataclass(frozen=True)
class Load:
    """A tuning, as far as memory depends on it.

    Attributes:
        image: The image tower.
        text: The text tower.
        weights: Of both towers, adapters included.
        trained: Those of them that are trained.
        head_weights: Of the copy of the head, all of which are trained.
        adapter_values: Kept by the adapters of one layer per position: rank times their number.
        batch: B.
        half: Whether autocast computes in a half-precision dtype.
        checkpointing: Whether gradient checkpointing is on.
        cuda: Whether a card holds it, and not the main memory.
    """

    image: Tower
    text: Tower
    weights: int
    trained: int
    head_weights: int
    adapter_values: int
    batch: int
    half: bool
    checkpointing: bool
    cuda: bool


@dataclass(frozen=True)
class TuningNeeds:
    """Peak memory of the tuning, part by part, in bytes; ``total`` is the sum."""

    weights: int
    gradients: int
    optimizer: int
    activations: int
    overhead: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.fixed + self.activations

    @property
    def fixed(self) -> int:
        """Bytes that do not depend on the batch size."""
        return self.weights + self.gradients + self.optimizer + self.overhead

    def __str__(self) -> str:
        parts = (
            ("weights", self.weights),
            ("gradients", self.gradients),
            ("optimizer", self.optimizer),
            ("activations", self.activations),
            ("overhead", self.overhead),
        )
        listed = ", ".join(f"{name} {size_text(size)}" for name, size in parts)
        return f"{size_text(self.total)} ({listed})"


def tuning_needs(load: Load) -> TuningNeeds:
    """The needs of a load."""
    weights = (_FLOAT + 2 * load.half) * load.weights + _TUNED_HEAD_BYTES * load.head_weights
    best = 0 if load.cuda else _FLOAT * load.trained
    return TuningNeeds(
        weights=weights + best,
        gradients=_FLOAT * load.trained,
        optimizer=2 * _FLOAT * load.trained,
        activations=load.batch * pair_bytes(load),
        overhead=CUDA_CONTEXT if load.cuda else TUNING_PROCESS,
    )


def pair_bytes(load: Load) -> int:
    """Activations of one pair."""
    towers = (load.image, load.text)
    layers = [tower.positions * trained_layer_bytes(tower, load) for tower in towers]
    # The gradients of one layer, and with checkpointing that layer's activations, too.
    passing = (2 if load.checkpointing else 1) * max(layers)
    return passing + sum(kept_bytes(tower, load) for tower in towers)


def kept_bytes(tower: Tower, load: Load) -> int:
    """Bytes that one item leaves in a tower for the backward pass."""
    layer = _FLOAT * tower.width if load.checkpointing else trained_layer_bytes(tower, load)
    outside = 5 * _FLOAT * tower.width
    return tower.positions * (tower.layers * layer + outside) + _FLOAT * tower.input_values


def trained_layer_bytes(tower: Tower, load: Load) -> int:
    """Bytes that one position leaves in one layer."""
    width, mlp_width = tower.width, tower.mlp_width
    if load.half:
        kept = 12 * width + 2 * (7 * width + 2 * mlp_width)
    else:
        kept = _FLOAT * (9 * width + 2 * mlp_width)
    return kept + _FLOAT * load.adapter_values


def largest_batch(load: Load, capacity: int) -> int:
    """The most pairs that fit; 0 where not even one does."""
    return max(0, (capacity - tuning_needs(load).fixed) // pair_bytes(load))


def expected_load(params: Params, towers: TowerSizes, *, cuda: bool) -> Load:
    """The load of a tuning that has not begun; the few megabytes of the head are left out."""
    lora = params.tune.lora
    adapters = sum(adapter_weights(tower, lora.rank) for tower in (towers.image, towers.text))
    is_lora = params.backbone.tune == "lora"
    mixed = params.training.mixed_precision
    return Load(
        image=towers.image,
        text=towers.text,
        weights=towers.parameters + (adapters if is_lora else 0),
        trained=adapters if is_lora else towers.parameters,
        head_weights=0,
        adapter_values=lora.rank * len(lora.targets) if is_lora else 0,
        batch=params.tune.batch_size,
        half=mixed in ("float16", "bfloat16") or (mixed == "auto" and cuda),
        checkpointing=params.backbone.gradient_checkpointing,
        cuda=cuda,
    )


def adapter_weights(tower: Tower, rank: int) -> int:
    """Weights of adapters on all six maps of each layer: rank times the widths on either side."""
    attention, mlp = 4 * 2 * tower.width, 2 * (tower.width + tower.mlp_width)
    return tower.layers * rank * (attention + mlp)


def require_memory(load: Load, free: int, mode: str) -> TuningNeeds:
    """The needs of a load that fits.

    Args:
        load: The tuning.
        free: Of the card or the main memory.
        mode: ``backbone.tune``.

    Raises:
        InputError: It does not; the message gives the estimate part by part, and what would fit.
    """
    needs = tuning_needs(load)
    if needs.total <= free:
        return needs
    where = "the card" if load.cuda else "the main memory"
    raise InputError(
        f"backbone.tune = {mode} with tune.batch_size = {load.batch} needs about {needs}, "
        f"and {where} has {size_text(free)} free",
        _remedy(load, free, mode),
    )


def _remedy(load: Load, free: int, mode: str) -> str:
    ways: list[str] = []
    if batch := largest_batch(load, free):
        ways.append(f"lower tune.batch_size to {batch} (and raise tune.accumulation_steps)")
    lighter = replace(load, checkpointing=True)
    if not load.checkpointing and (batch := largest_batch(lighter, free)):
        at_most = "" if batch >= load.batch else f" with tune.batch_size = {batch} or less"
        ways.append(
            f"set backbone.gradient_checkpointing to true{at_most} "
            f"(then about {tuning_needs(replace(lighter, batch=min(batch, load.batch)))})"
        )
    if mode == "full" and largest_batch(replace(load, trained=0), free):
        ways.append("set backbone.tune to lora, which has no gradients of the towers' own weights")
    if not ways:
        ways.append("choose a smaller backbone.checkpoint, or a machine with more memory")
    return ", or ".join(ways)
