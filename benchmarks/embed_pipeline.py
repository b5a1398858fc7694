"""Share of the towers' own speed that is left when images are read, decoded and written as well.

    python benchmarks/embed_pipeline.py [--images FOLDER] [--device cuda]

embeds JPEGs with the base-size image tower (random weights) and the tiny one, and compares the
project's own pass (reader -> mapper -> writer, to the disk) with the tower alone on the same
batches, which lie in memory then. Both run in turn, so that whatever else the machine does meets
both; the ratio is the median over the repetitions. PyTorch and the reader get ``--threads`` each.
Without FOLDER the images are renderings of mojicoco: 128 pixels wide for the tiny tower, as in the
embedded default, and 480 for the base one, as large as photos.

The last line is JSON: ``end_to_end_over_tower`` by tower, and by tower the images/s of both, and
``reader_ms`` and ``tower_ms``: CPU time of decoding and preparing an image, and of its tower. On a
CPU both share the cores, so a pass that keeps them busy comes to some ``limit`` = tower / (tower +
reader); above it only where the tower alone leaves cores idle. Goal on 2 CPU cores: 0.90 for the
base tower and 0.6 for the tiny one.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Run by its path, a script sees its own folder only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.towers_and_images import (
    Images,
    measure_each,
    parse_options,
    project_params,
)
from siglip2_multimodal_hash.errors import run_guarded
from siglip2_multimodal_hash.features.backoff import BackingOff
from siglip2_multimodal_hash.features.engines.local import run_pipeline
from siglip2_multimodal_hash.features.mapper import Mapper
from siglip2_multimodal_hash.features.reader import Batch, ImageReader, TextReader
from siglip2_multimodal_hash.features.runner import SHARD_SECONDS
from siglip2_multimodal_hash.features.towers import Towers
from siglip2_multimodal_hash.features.writer import unfinished_embeddings
from siglip2_multimodal_hash.params import RuntimeParams

GOALS = {"base": 0.90, "tiny": 0.60}


@dataclass(frozen=True)
class Load:
    """Size of a measurement: images, images per batch, and repetitions."""

    images: int
    batch: int
    repetitions: int


# The base tower takes half a second an image on a CPU.
LOADS = {
    ("base", "cpu"): Load(48, 8, 3),
    ("tiny", "cpu"): Load(1024, 64, 5),
    ("base", "cuda"): Load(8192, 256, 3),
    ("tiny", "cuda"): Load(16384, 512, 3),
}


def measure(towers: Towers, images: Images, load: Load, threads: int) -> dict[str, Any]:
    """Both ways in turn on the same batches."""
    names = images.take(load.images)
    reader = ImageReader(images.source, names, towers.preprocess, load.batch)
    return {
        **measure_unit(towers, reader, "images", load.repetitions, threads),
        "images": load.images,
        "batch": load.batch,
        "source": images.described,
    }


def measure_unit(
    towers: Towers, reader: ImageReader | TextReader, unit: str, repetitions: int, threads: int
) -> dict[str, Any]:
    """Both ways in turn on the batches of a reader of ``images`` or ``captions``."""
    encode = towers.encode_images if unit == "images" else towers.encode_tokens
    mapper = Mapper(BackingOff(encode, unit))
    rows = reader.rows_before(len(reader))
    began = time.thread_time()
    batches = [reader[number] for number in range(len(reader))]
    reader_seconds = time.thread_time() - began
    on_gpu = towers.device.type == "cuda"
    if on_gpu:
        batches = [batch.pinned() for batch in batches]
    mapper(batches[0])  # Makes what the first call makes.
    alone, whole, tower_seconds = [], [], []
    for _ in range(repetitions):
        began = time.process_time()
        alone.append(tower_only(mapper, batches))
        tower_seconds.append(time.process_time() - began)
        whole.append(end_to_end(reader, mapper, unit, threads, pin_memory=on_gpu))
    tower_cpu = statistics.median(tower_seconds)
    ratios = [one / other for one, other in zip(alone, whole, strict=True)]
    return {
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        f"tower_{unit}_per_second": round(rows / statistics.median(alone), 1),
        f"end_to_end_{unit}_per_second": round(rows / statistics.median(whole), 1),
        "reader_ms": round(1000 * reader_seconds / rows, 2),
        "tower_ms": round(1000 * tower_cpu / rows, 2),
        "limit": None if on_gpu else round(tower_cpu / (tower_cpu + reader_seconds), 3),
    }


def tower_only(mapper: Mapper, batches: list[Batch]) -> float:
    """Seconds of the tower on batches that are ready; what it gives has left the device then."""
    began = time.perf_counter()
    for batch in batches:
        mapper(batch)
    return time.perf_counter() - began


def end_to_end(
    reader: ImageReader | TextReader, mapper: Mapper, unit: str, threads: int, *, pin_memory: bool
) -> float:
    """Seconds of the project's own pass, from the files to the file."""
    nothing = {"images": 0, "captions": 0}
    rows, count = nothing | {unit: reader.rows_before(len(reader))}, nothing | {unit: len(reader)}
    with (
        tempfile.TemporaryDirectory() as folder,
        unfinished_embeddings(Path(folder) / "out", {}, rows, count) as work,
    ):
        began = time.perf_counter()
        run_pipeline(
            reader,
            mapper,
            work,
            _runtime(threads),
            unit,
            pin_memory=pin_memory,
            shard_seconds=SHARD_SECONDS,
        )
        return time.perf_counter() - began


def _runtime(threads: int) -> RuntimeParams:
    runtime = project_params().runtime
    loader = runtime.dataloader.model_copy(update={"num_workers": threads})
    return runtime.model_copy(update={"dataloader": loader})


def run(arguments: argparse.Namespace, loads: dict[tuple[str, str], Load]) -> dict[str, Any]:
    """The figures of each tower."""
    result = measure_each(
        arguments,
        loads,
        lambda load: load.images,
        lambda towers, images, load: measure(towers, images, load, arguments.threads),
    )
    ratios = {which: result[which]["ratio"] for which in arguments.towers}
    return {
        "end_to_end_over_tower": ratios,
        "within_goal": all(ratio >= GOALS[which] for which, ratio in ratios.items()),
        **result,
    }


if __name__ == "__main__":
    run_guarded(lambda: print(json.dumps(run(parse_options(__doc__.splitlines()[0]), LOADS))))
