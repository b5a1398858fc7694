"""Fit the baseline heads, several at once on a CPU.

A fit on cached embeddings is a long row of small steps, which a second thread makes only some 1.5
times faster: two fits of one thread each, side by side, get more done.
"""

import logging
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from siglip2_multimodal_hash.datasets.index import read_index
from siglip2_multimodal_hash.device import choose_device
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.features.store import Embeddings, load_embeddings
from siglip2_multimodal_hash.kernels import THREADS
from siglip2_multimodal_hash.memory.limits import free_memory
from siglip2_multimodal_hash.memory.needs import require_head
from siglip2_multimodal_hash.models.config import HeadConfig
from siglip2_multimodal_hash.params import CaptionPolicy
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
    bar = tqdm(total=len(names), unit="baseline", disable=not runtime.logging.progress)
    with bar:
        for codes in fitted:
            logger.info("%s: val mAP %.4f", codes.name, codes.val_map)
            bar.update()
            yield codes


def _read(task: BaselineTask) -> tuple[Embeddings, TrainingData, ValidationData]:
    vectors = load_embeddings(task.embeddings)
    return vectors, *training_splits(read_index(task.index), vectors, task.policy)


def _read_and_fit(name: str, task: BaselineTask) -> BaselineCodes:
    return _fit(name, task, *_read(task))


def _fit(
    name: str, task: BaselineTask, vectors: Embeddings, train: TrainingData, val: ValidationData
) -> BaselineCodes:
    """Fit one baseline and run it over every image."""
    config = task.heads[name]
    result = fit(config, train, val, _settings_of(config, task.settings))
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
        for name in names:
            yield _fit(name, task, *data)
    finally:
        torch.set_num_threads(threads)


def _in_processes(task: BaselineTask, names: list[str], processes: int) -> Iterator[BaselineCodes]:
    quiet = _without_bars(task)
    pool = ProcessPoolExecutor(
        processes,
        mp_context=get_context("spawn"),
        initializer=torch.set_num_threads,
        initargs=(1,),
    )
    try:
        pending = [pool.submit(_read_and_fit, name, quiet) for name in names]
        for done in as_completed(pending):
            yield done.result()
    except BrokenProcessPool:
        raise InputError(
            "a process that fitted a baseline was killed, probably for want of memory",
            "set runtime.dataloader.num_workers to 1: one baseline is then fitted at a time",
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _without_bars(task: BaselineTask) -> BaselineTask:
    """Switch progress bars off: those of two processes would overwrite each other."""
    runtime = task.settings.runtime
    logs = runtime.logging.model_copy(update={"progress": False})
    quiet = runtime.model_copy(update={"logging": logs})
    return replace(task, settings=replace(task.settings, runtime=quiet))
