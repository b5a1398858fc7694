"""Whether the towers stay frozen, and else whether the machine can hold their tuning."""

from siglip2_multimodal_hash.doctor.findings import Finding, fail, ok, size_text
from siglip2_multimodal_hash.doctor.machine import Machine
from siglip2_multimodal_hash.doctor.towers import Tower, TowerSizes
from siglip2_multimodal_hash.params import Params
from siglip2_multimodal_hash.training.tuning.needs import Load, TowerShape, estimate

TITLE = "frozen towers"


def check_tuning(machine: Machine, params: Params, towers: TowerSizes) -> Finding:
    """The plan's point about frozen towers; the few megabytes of the head are left out."""
    mode = params.backbone.tune
    if mode == "frozen":
        return ok(
            TITLE, "they run once, without gradients, and nothing of them is kept but embeddings"
        )
    cuda = machine.device(params.runtime.device) == "cuda"
    needs = estimate(_load(params, towers, cuda=cuda))
    held = machine.cards[0].memory if cuda else machine.ram
    said = (
        f"backbone.tune = {mode}: {params.tune.epochs} epochs with gradients before they are "
        f"embedded, which takes about {size_text(needs.total)} of {size_text(held)}"
    )
    if needs.total > held:
        return fail(
            TITLE,
            said,
            "lower tune.batch_size and raise tune.accumulation_steps, set "
            "backbone.gradient_checkpointing to true, or set backbone.tune to lora or frozen",
        )
    return ok(TITLE, said)


def adapter_weights(tower: Tower, rank: int) -> int:
    """Of adapters beside all six maps of each layer: rank times the widths on either side."""
    attention, mlp = 4 * 2 * tower.width, 2 * (tower.width + tower.mlp_width)
    return tower.layers * rank * (attention + mlp)


def _load(params: Params, towers: TowerSizes, *, cuda: bool) -> Load:
    lora = params.tune.lora
    adapters = sum(adapter_weights(tower, lora.rank) for tower in (towers.image, towers.text))
    is_lora = params.backbone.tune == "lora"
    mixed = params.training.mixed_precision
    return Load(
        image=_shape(towers.image, towers.input_values),
        text=_shape(towers.text, 2 * towers.text.positions),
        weights=towers.parameters + (adapters if is_lora else 0),
        trained=adapters if is_lora else towers.parameters,
        head_weights=0,
        adapter_values=lora.rank * len(lora.targets) if is_lora else 0,
        batch=params.tune.batch_size,
        half=mixed in ("float16", "bfloat16") or (mixed == "auto" and cuda),
        checkpointing=params.backbone.gradient_checkpointing,
        cuda=cuda,
    )


def _shape(tower: Tower, input_values: int) -> TowerShape:
    return TowerShape(tower.width, tower.mlp_width, tower.layers, tower.positions, input_values)
