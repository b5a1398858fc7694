"""Fit the baseline heads, several at once on a CPU.

A fit on cached embeddings is a long row of small steps, which a second thread makes only some 1.5
times faster: two fits of one thread each, side by side, get more done.
"""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from siglip2_multimodal_hash.datasets.index import read_index
from siglip2_multimodal_hash.device import choose_device
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.features.store import Embeddings, load_embeddings
from siglip2_multimodal_hash.kernels import THREADS
from siglip2_multimodal_hash.memory.limits import free_memory
from siglip2_multimodal_hash.memory.needs import require_head
from siglip2_multimodal_hash.models.config import HeadConfig
from siglip2_multimodal_hash.params import CaptionPolicy
from siglip2_multimodal_hash.progress import phase, track
from siglip2_multimodal_hash.training.batches import epochs_of_fit
from siglip2_multimodal_hash.training.data import TrainingData, ValidationData
from siglip2_multimodal_hash.training.loop import fit
from siglip2_multimodal_hash.training.settings import FitSettings
from siglip2_multimodal_hash.training.splits import encode_embeddings, training_splits

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BaselineTask:
    """Data, heads and settings of the baselines; picklable, so that workers read the files.

    Attributes:
        index: The dataset's index.
        embeddings: Folder of the embeddings that belong to it.
        policy: Caption of an image in evaluation.
        heads: By name, in the order in which they are begun.
        settings: Of every fit.
    """

    index: Path
    embeddings: Path
    policy: CaptionPolicy
    heads: dict[str, HeadConfig]
    settings: FitSettings


@dataclass(frozen=True, eq=False)
class BaselineCodes:
    """A baseline's output for every image: soft codes [N, bits] or [N, D_z], scores [N, C]."""

    name: str
    bits: int
    val_map: float
    soft: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]


def fit_baselines(task: BaselineTask) -> Iterator[BaselineCodes]:
    """Fit every head of the task, and yield them in the order in which they are done.

    On a CPU each with one thread, and up to :data:`..kernels.THREADS` of them at a time in
    processes (``runtime.dataloader.num_workers``: 0 or 1 uses none); on a GPU one after the other.
    A baseline's weights depend on neither the others nor the number of processes.

    Raises:
        InputError: A head does not fit the memory; see :func:`..training.loop.fit`; or a process
            was killed.
    """
    runtime = task.settings.runtime
    device = choose_device(runtime.device)
    free = free_memory(device)
    for head in task.heads.values():
        require_head(head, free)
    on_cpu = device.type == "cpu"
    processes = min(THREADS, runtime.dataloader.num_workers, len(task.heads)) if on_cpu else 1
    names = list(task.heads)
    fitted = (
        _in_processes(task, names, processes)
        if processes > 1
        else _one_by_one(task, names, on_cpu=on_cpu)
    )
    reached = {}
    for codes in fitted:
        reached[codes.name] = f"{codes.name} {codes.val_map:.4f}"
        yield codes
    logger.info("val mAP: %s", ", ".join(reached[name] for name in names))


def _read(task: BaselineTask) -> tuple[Embeddings, TrainingData, ValidationData]:
    vectors = load_embeddings(task.embeddings)
    return vectors, *training_splits(read_index(task.index), vectors, task.policy)


_epochs_done: Any = None  # of all processes that fit; set in each of them


def _prepare_process(epochs_done: Any) -> None:
    global _epochs_done  # noqa: PLW0603 - a process gets it when it is started, and by no other way
    _epochs_done = epochs_done
    torch.set_num_threads(1)


def _count_epochs(epochs: int = 1) -> None:
    with _epochs_done.get_lock():
        _epochs_done.value += epochs


def _read_and_fit(name: str, task: BaselineTask) -> BaselineCodes:
    return _fit(name, task, *_read(task), after_epoch=_count_epochs)


def _fit(
    name: str,
    task: BaselineTask,
    vectors: Embeddings,
    train: TrainingData,
    val: ValidationData,
    after_epoch: Callable[[], None] | None = None,
) -> BaselineCodes:
    """Fit one baseline and run it over every image."""
    config = task.heads[name]
    settings = _settings_of(config, task.settings)
    result = fit(config, train, val, settings, after_epoch=after_epoch)
    if after_epoch is not None:
        for _ in range(
            int(result.history[-1]["epoch"]), epochs_of_fit(len(train), settings.training)
        ):
            after_epoch()
    soft, scores = encode_embeddings(
        result.network,
        vectors,
        task.policy,
        task.settings.runtime.dataloader.inference_batch_size,
    )
    return BaselineCodes(name, config.bits, result.val_map, soft, scores)


def _settings_of(config: HeadConfig, settings: FitSettings) -> FitSettings:
    """Settings of a baseline: lengths alone have no directions to align."""
    if config.fusion != "magnitude":
        return settings
    return replace(settings, loss=settings.loss.model_copy(update={"cosine_weight": 0.0}))


def _one_by_one(task: BaselineTask, names: list[str], *, on_cpu: bool) -> Iterator[BaselineCodes]:
    threads = torch.get_num_threads()
    if on_cpu:
        torch.set_num_threads(1)  # sums are split by thread: the same ones as in processes
    try:
        data = _read(task)
        for name in track(names, "heads", "head"):
            yield _fit(name, task, *data)
    finally:
        torch.set_num_threads(threads)


def _in_processes(task: BaselineTask, names: list[str], processes: int) -> Iterator[BaselineCodes]:
    context = get_context("spawn")
    done = context.Value("q")
    pool = ProcessPoolExecutor(
        processes, mp_context=context, initializer=_prepare_process, initargs=(done,)
    )
    samples = len(read_index(task.index).rows("train"))
    epochs = len(names) * epochs_of_fit(samples, task.settings.training)
    try:
        pending = [pool.submit(_read_and_fit, name, task) for name in names]
        with phase(f"fit of {len(names)} heads", epochs, "epoch", count=lambda: done.value):
            for fitted in as_completed(pending):
                yield fitted.result()
    except BrokenProcessPool:
        raise InputError(
            "a process that fitted a baseline was killed, probably for want of memory",
            "set runtime.dataloader.num_workers to 1: one baseline is then fitted at a time",
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)
