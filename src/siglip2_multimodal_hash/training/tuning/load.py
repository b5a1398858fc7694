"""What a tuning will load onto the device, read off the towers and the parameters."""

from typing import Any

from siglip2_multimodal_hash.device import Precision
from siglip2_multimodal_hash.models.config import HeadConfig
from siglip2_multimodal_hash.models.network import HashNetwork
from siglip2_multimodal_hash.training.tuning.adapters import trainable_weights
from siglip2_multimodal_hash.training.tuning.needs import Load, tower_shapes
from siglip2_multimodal_hash.training.tuning.settings import TuneSettings


def tuning_load(model: Any, head: HeadConfig, settings: TuneSettings, precision: Precision) -> Load:
    """The load of towers that are ready to be trained.

    Args:
        model: After :func:`.make_trainable`.
        head: The copy of the head beside them.
        settings: Batch size, lengths, checkpointing, ``tune.lora``.
        precision: Of the training.
    """
    lora = settings.tune.lora
    image, text = tower_shapes(
        model.config, settings.towers.max_num_patches, settings.towers.text_max_length
    )
    return Load(
        image=image,
        text=text,
        weights=sum(v.numel() for v in model.parameters()),
        trained=sum(v.numel() for v in trainable_weights(model).values()),
        head_weights=sum(v.numel() for v in HashNetwork(head).parameters()),
        adapter_values=lora.rank * len(lora.targets) if settings.mode == "lora" else 0,
        batch=settings.tune.batch_size,
        half=precision.dtype is not None,
        checkpointing=settings.gradient_checkpointing,
        cuda=precision.device.type == "cuda",
    )
