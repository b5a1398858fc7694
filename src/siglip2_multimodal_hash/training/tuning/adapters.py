"""Trained weights of the towers: all of them, or low-rank adapters that are merged in the end.

LoRA (Hu et al., ICLR 2022) adds to a frozen linear map W the product of two factors of low rank,
W + alpha / rank * B A, with B = 0 at the start, so that the towers start as they are.
"""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor, nn

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.params import LoraParams
from siglip2_multimodal_hash.training.tuning.settings import TuneSettings

INSTALL = 'pip install --constraint constraints.txt --editable ".[tune]"'


def make_trainable(model: Any, settings: TuneSettings) -> Any:
    """Choose what is trained, in place; what is handed back goes to :func:`merge_adapters`.

    The towers' scale and bias of the contrastive loss stay as they are: the head does not see them.

    Args:
        model: Frozen towers. With ``lora``, adapters are put into it.
        settings: ``mode`` (not ``frozen``), ``tune.lora``, ``gradient_checkpointing``.

    Raises:
        InputError: ``tune.lora.targets`` names no linear layer, or peft is missing.
    """
    if settings.mode == "full":
        for tower in (model.vision_model, model.text_model):
            tower.requires_grad_(True)
        adapted = model
    else:
        adapted = _with_adapters(model, settings.tune.lora)
    if settings.gradient_checkpointing:
        _checkpoint_layers(model)
    return adapted


def merge_adapters(adapted: Any) -> Any:
    """Add the adapters to the weights that they stand beside; the plain model, frozen again."""
    model = adapted.merge_and_unload() if hasattr(adapted, "merge_and_unload") else adapted
    return model.eval().requires_grad_(False)


def trainable_weights(model: nn.Module) -> dict[str, Tensor]:
    """The weights of the towers that are trained, by name."""
    return {name: v for name, v in model.named_parameters() if v.requires_grad}


def adapted_layers(model: nn.Module, targets: Sequence[str]) -> list[str]:
    """Full names of the linear layers that ``tune.lora.targets`` means.

    The pooling head's attention is left out: it is PyTorch's own module, which reads the weight of
    its last layer without calling the layer, so an adapter there would have no effect.

    Raises:
        InputError: A target names no layer.
    """
    layers = list(_linear_layers(model))
    ends = {name.rpartition(".")[2] for name in layers}
    if unknown := sorted(set(targets) - ends):
        raise InputError(
            f"tune.lora.targets: the towers have no linear layer called {', '.join(unknown)}",
            f"they have {', '.join(sorted(ends))}",
        )
    return [name for name in layers if name.rpartition(".")[2] in targets]


def _linear_layers(model: nn.Module) -> Iterator[str]:
    modules = dict(model.named_modules())
    for name, module in modules.items():
        parent = modules[name.rpartition(".")[0]]
        if isinstance(module, nn.Linear) and not isinstance(parent, nn.MultiheadAttention):
            yield name


def _with_adapters(model: Any, lora: LoraParams) -> Any:
    layers = adapted_layers(model, lora.targets)
    try:
        import peft
    except ImportError as error:
        raise InputError(
            f"backbone.tune = lora: needs peft, which cannot be imported ({error})", INSTALL
        ) from None
    config = peft.LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, target_modules=layers, lora_dropout=0.0, bias="none"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # about what peft calls in transformers
        return peft.get_peft_model(model, config)


def _checkpoint_layers(model: Any) -> None:
    # The other implementation needs inputs with a gradient, which frozen embeddings lack.
    options = {"use_reentrant": False}
    if hasattr(model, "activation_checkpointing_enable"):  # transformers has renamed it
        model.activation_checkpointing_enable(options)
    else:
        model.gradient_checkpointing_enable(options)
