"""How much memory the tuning will need, by arithmetic; sizes in bytes.

A tower has width D, MLP width F, L layers and T positions; B pairs go through both towers at a
time. What is a bound and not exact errs upwards.

- Weights: 4 a weight, float32 whatever the precision. Under autocast the layers also keep a half
  copy of theirs until the backward pass: 2 more.
- What is trained: 4 a weight for the gradient and 8 for AdamW's two moments. The best epoch's copy
  lies in main memory: 4 more there.
- Activations that a layer keeps for the backward pass, a position: the input and output of both
  norms (4 D), query, key, value, the attended values and their copy (5 D), and the MLP before and
  after its activation (2 F); the fused attention kernel keeps no T x T matrix. In float32 that is
  4 (9 D + 2 F). Autocast halves all but three of the norms' values: 12 D + 2 (7 D + 2 F). An
  adapter of rank r keeps r values more.
- Outside its layers a tower keeps what the pooling head sees: 4 * 5 D a position; and its input.
- With gradient checkpointing a layer keeps its input alone, 4 D a position, and one layer at a time
  is computed again.
- The backward pass holds the gradients of one layer's activations beside all this.
"""

from dataclasses import dataclass, replace
from typing import Any

GIB = 2**30
CUDA_CONTEXT = int(0.7 * GIB)
"""Context, kernels and workspaces of cuBLAS."""
PROCESS = int(1.0 * GIB)
"""The interpreter with PyTorch, transformers and pandas loaded."""

_FLOAT = 4
_HEAD_BYTES = 16  # itself, gradient, two moments


@dataclass(frozen=True)
class TowerShape:
    """One tower: D, F, L, T, and the float32 values of one item as it enters."""

    width: int
    mlp_width: int
    layers: int
    positions: int
    input_values: int


@dataclass(frozen=True)
class Load:
    """What is to be held.

    Attributes:
        image: The image tower.
        text: The text tower.
        weights: Of both towers, adapters included.
        trained: Those of them that are trained.
        head_weights: Of the copy of the head, all of which are trained.
        adapter_values: What the adapters of one layer keep a position: rank times their number.
        batch: B.
        half: Whether autocast computes in a half-precision dtype.
        checkpointing: Whether gradient checkpointing is on.
        cuda: Whether a card holds it, and not the main memory.
    """

    image: TowerShape
    text: TowerShape
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
    """What the tuning will hold at most, part by part; ``total`` is the sum."""

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
        """What the size of the batch does not change."""
        return self.weights + self.gradients + self.optimizer + self.overhead

    def __str__(self) -> str:
        parts = (
            ("weights", self.weights),
            ("gradients", self.gradients),
            ("optimizer", self.optimizer),
            ("activations", self.activations),
            ("overhead", self.overhead),
        )
        listed = ", ".join(f"{name} {size / GIB:.2f}" for name, size in parts)
        return f"{self.total / GIB:.2f} GiB ({listed})"


def estimate(load: Load) -> TuningNeeds:
    """The needs of a load."""
    weights = (_FLOAT + 2 * load.half) * load.weights + _HEAD_BYTES * load.head_weights
    best = 0 if load.cuda else _FLOAT * load.trained
    return TuningNeeds(
        weights=weights + best,
        gradients=_FLOAT * load.trained,
        optimizer=2 * _FLOAT * load.trained,
        activations=load.batch * pair_bytes(load),
        overhead=CUDA_CONTEXT if load.cuda else PROCESS,
    )


def pair_bytes(load: Load) -> int:
    """Activations of one pair."""
    towers = (load.image, load.text)
    layers = [tower.positions * layer_bytes(tower, load) for tower in towers]
    # The gradients of one layer, and with checkpointing that layer's activations, too.
    passing = (2 if load.checkpointing else 1) * max(layers)
    return passing + sum(kept_bytes(tower, load) for tower in towers)


def kept_bytes(tower: TowerShape, load: Load) -> int:
    """What one item leaves in a tower for the backward pass."""
    layer = _FLOAT * tower.width if load.checkpointing else layer_bytes(tower, load)
    outside = 5 * _FLOAT * tower.width
    return tower.positions * (tower.layers * layer + outside) + _FLOAT * tower.input_values


def layer_bytes(tower: TowerShape, load: Load) -> int:
    """What one position leaves in one layer, see above."""
    width, mlp_width = tower.width, tower.mlp_width
    if load.half:
        kept = 12 * width + 2 * (7 * width + 2 * mlp_width)
    else:
        kept = _FLOAT * (9 * width + 2 * mlp_width)
    return kept + _FLOAT * load.adapter_values


def largest_batch(load: Load, capacity: int) -> int:
    """The most pairs that fit; 0 where not even one does."""
    return max(0, (capacity - estimate(load).fixed) // pair_bytes(load))


def with_checkpointing(load: Load) -> Load:
    """The same load, with gradient checkpointing."""
    return replace(load, checkpointing=True)


def tower_shapes(
    config: Any, max_num_patches: int, text_length: int
) -> tuple[TowerShape, TowerShape]:
    """Image and text tower of a checkpoint.

    Args:
        config: The model's.
        max_num_patches: For NaFlex.
        text_length: Tokens a text.
    """
    vision, text = config.vision_config, config.text_config
    if config.model_type == "siglip2":
        positions = max_num_patches
    else:
        positions = (vision.image_size // vision.patch_size) ** 2
    values = positions * vision.num_channels * vision.patch_size**2
    return (
        _shape(vision, positions, values),
        _shape(text, text_length, 2 * text_length),  # token numbers are int64
    )


def _shape(config: Any, positions: int, input_values: int) -> TowerShape:
    return TowerShape(
        config.hidden_size,
        config.intermediate_size,
        config.num_hidden_layers,
        positions,
        input_values,
    )
