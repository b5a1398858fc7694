"""The experiment plan's memory checklist, judged by the parameters and the memory there really is.

The plan runs the towers at every training step, so its list is about them. Here they run once,
without gradients, and the head is trained on what they gave; each point is judged for that.
:mod:`..memory` explains the arithmetic.
"""

from siglip2_multimodal_hash.doctor.findings import Finding, fail, ok, warn
from siglip2_multimodal_hash.doctor.machine import Machine
from siglip2_multimodal_hash.files import size_text
from siglip2_multimodal_hash.memory.needs import Needs, dataset_size, expected_load, tuning_needs
from siglip2_multimodal_hash.memory.towers import TowerSizes
from siglip2_multimodal_hash.params import IMPORTED, Params

EFFECTIVE_BATCH = 64
"""Effective batch size of the plan: 32 x 2, or 16 x 4 where memory is short."""
BASE_PARAMETERS = 500_000_000
"""SigLIP 2 base has 375 million, large 882 million."""
FEW_WORKERS = 4


def check_memory(machine: Machine, params: Params, needs: Needs) -> list[Finding]:
    """Check that the GPU and the main memory hold what a run needs."""
    findings = []
    if machine.device(params.runtime.device) == "cuda":
        findings.append(_check_card_memory(machine.cards[0].memory, params, needs))
    said = f"a run needs up to {size_text(needs.ram)} of the {size_text(machine.ram)} here"
    remedy = (
        "lower runtime.dataloader.embed_batch_size or num_workers: images that are read ahead "
        f"take {size_text(needs.ahead)}, and without a card 1 worker fits one baseline at a time"
    )
    if needs.largest and 4 * needs.train > needs.ram:
        remedy = f"lower {needs.largest}: training needs {size_text(needs.train)}"
    if needs.ram > machine.ram:
        findings.append(fail("main memory", said, remedy))
    elif needs.ram > 0.9 * machine.ram:
        findings.append(warn("main memory", said, remedy))
    else:
        findings.append(ok("main memory", said))
    return findings


def check_disk(machine: Machine, needs: Needs, download: int) -> Finding:
    """Check the disk's free space for the outputs and for a checkpoint that is yet to download.

    Args:
        machine: The machine.
        needs: See :mod:`..memory`.
        download: Bytes that go to the hub's cache.
    """
    here = needs.outputs + (download if machine.one_disk else 0)
    with_cache = here + needs.disk - needs.outputs
    free = machine.disk_free
    said = (
        f"a run writes up to {size_text(needs.outputs)}, twice with DVC's cache where files cannot "
        f"be shared; {size_text(free)} free"
    )
    if download:
        said += f", and downloads {size_text(download)}"
    remedy = "free some space, `dvc gc --workspace` removes what the workspace does not use"
    if here > free:
        return fail("disk", said, remedy)
    if download > machine.cache_free:
        cache = f"{said}; the hub's cache has {size_text(machine.cache_free)} free"
        return fail("disk", cache, "set HF_HOME to a folder on a larger disk")
    return warn("disk", said, remedy) if with_cache > free else ok("disk", said)


def check_list(machine: Machine, params: Params, needs: Needs, towers: TowerSizes) -> list[Finding]:
    """The plan's six points."""
    return [
        _mixed_precision(machine, params),
        _batch_size(params),
        check_tuning(machine, params, towers),
        _accumulation(params),
        _base_model(machine, params, needs, towers),
        _workers(machine, params),
    ]


def check_tuning(machine: Machine, params: Params, towers: TowerSizes) -> Finding:
    """Check that the towers stay frozen, or else that the machine can hold their tuning."""
    title, mode = "frozen towers", params.backbone.tune
    if mode == "frozen":
        return ok(title, "they run once, without gradients, and only their embeddings are kept")
    cuda = machine.device(params.runtime.device) == "cuda"
    needs = tuning_needs(expected_load(params, towers, cuda=cuda))
    held = machine.cards[0].memory if cuda else machine.ram
    said = (
        f"backbone.tune = {mode}: {params.tune.epochs} epochs with gradients before they are "
        f"embedded, which takes about {size_text(needs.total)} of {size_text(held)}"
    )
    if needs.total > held:
        return fail(
            title,
            said,
            "lower tune.batch_size and raise tune.accumulation_steps, set "
            "backbone.gradient_checkpointing to true, or set backbone.tune to lora or frozen",
        )
    return ok(title, said)


def _check_card_memory(memory: int, params: Params, needs: Needs) -> Finding:
    said = (
        f"embedding needs up to {size_text(needs.embed)}, training {size_text(needs.train)}, of "
        f"the card's {size_text(memory)}"
    )
    lower = "lower runtime.dataloader.embed_batch_size"
    if needs.train > needs.embed:
        lower = (
            f"lower {needs.largest}"
            if needs.largest
            else "set runtime.device to cpu: the embeddings themselves do not fit"
        )
    if needs.device > memory:
        return fail("card memory", said, lower)
    fraction = params.runtime.memory.alert_vram_fraction
    if needs.device > fraction * memory:
        alert = f"{said}, above runtime.memory.alert_vram_fraction = {fraction:g}"
        return warn("card memory", alert, lower)
    return ok("card memory", said)


def _mixed_precision(machine: Machine, params: Params) -> Finding:
    title = "mixed precision"
    towers, head = params.backbone.amp_dtype, params.training.mixed_precision
    if params.backbone.checkpoint == IMPORTED:
        return ok(title, f"head {head}; the features are imported, so no tower runs")
    if machine.device(params.runtime.device) == "cpu":
        return ok(title, f"towers {towers}, head {head}, on the CPU")
    if towers == "float32":
        return warn(
            title,
            "backbone.amp_dtype = float32: the towers run at a fraction of the card's speed",
            "set backbone.amp_dtype to bfloat16 (float16 on cards before Ampere)",
        )
    if head == "off":
        return warn(
            title,
            "training.mixed_precision = off: the head is trained in float32",
            "set training.mixed_precision to auto",
        )
    return ok(title, f"towers {towers}, head {head}")


def _batch_size(params: Params) -> Finding:
    batch = params.training.batch_size
    images = dataset_size(params).images
    said = f"training.batch_size = {batch}"
    if batch > images:
        return fail("batch size", f"{said}: the dataset has {images} images", "lower it")
    # One bit's mean over a handful of images says little of its balance.
    if params.hash.bits and batch < 16:
        return warn(
            "batch size",
            f"{said}: balance and decorrelation of {params.hash.bits} bits are estimated within a "
            "batch, and the plan does not go below 16",
            "set training.batch_size to 16 or more; cached embeddings take no memory for it",
        )
    return ok("batch size", f"{said}, on cached embeddings")


def _accumulation(params: Params) -> Finding:
    title, training = "gradient accumulation", params.training
    effective = training.batch_size * training.accumulation_steps
    said = f"{training.batch_size} x {training.accumulation_steps} = {effective} per update"
    if effective == EFFECTIVE_BATCH:
        return ok(title, said)
    return warn(
        title,
        f"{said}; optimizer.lr of the plan is for {EFFECTIVE_BATCH}",
        "set training.accumulation_steps so that the product is "
        f"{EFFECTIVE_BATCH}, or try other values of optimizer.lr",
    )


def _base_model(machine: Machine, params: Params, needs: Needs, towers: TowerSizes) -> Finding:
    title, name = "base rather than large", params.backbone.name
    if params.backbone.checkpoint == IMPORTED:
        return ok(title, f"the features {name} are imported, so no tower runs")
    said = f"{name} has {towers.parameters / 1e6:.0f} million parameters"
    if not towers.known:
        said += " (assumed, as in SigLIP 2 base)"
    if towers.parameters <= BASE_PARAMETERS:
        return ok(title, said)
    if machine.device(params.runtime.device) == "cpu":
        return warn(
            title, f"{said}, which is slow on the CPU",
            "smhash use siglip2-base-256",
        )  # fmt: skip
    if needs.embed > machine.cards[0].memory:
        return fail(
            title,
            f"{said}: too many for this GPU with these batches",
            "smhash use siglip2-base-256, or lower runtime.dataloader.embed_batch_size",
        )
    return ok(title, f"{said}; frozen, they fit this GPU")


def _workers(machine: Machine, params: Params) -> Finding:
    workers, cores = params.runtime.dataloader.num_workers, machine.cores
    said = f"runtime.dataloader.num_workers = {workers}, {cores} core(s)"
    if workers > cores:
        return warn(
            "workers", f"{said}: more workers than cores only use memory",
            f"set runtime.dataloader.num_workers to {cores}",
        )  # fmt: skip
    few = machine.device(params.runtime.device) == "cuda" and workers < min(FEW_WORKERS, cores)
    if few:
        return warn(
            "workers", f"{said}: the card will wait for images",
            f"set runtime.dataloader.num_workers to {min(16, cores)}",
        )  # fmt: skip
    return ok("workers", said)
