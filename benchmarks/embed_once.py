"""Cost of frozen towers in the training loop, against embedding once and training on the cache.

    python benchmarks/embed_once.py [--images FOLDER] [--device cuda]

The plan's way runs both towers at every step: 64 images read, decoded and embedded, with one
caption each, then an update of the head. The project's way embeds every image and each of its five
captions once, and takes the same update on cached embeddings. Both are measured here in turn, with
the same reader, towers and head, in fp32 on a CPU and under autocast on a GPU, and extrapolated:
30 epochs over the 113,287 training images of COCO, in one run and in the 27 of the plan's grid,
which share one pass of embedding. Left out, in favour of the plan's way: its validation, which
would run the towers over 5,000 images per epoch; and that equal captions are embedded only once.

The last line is JSON: ``factor_1_run`` and ``factor_27_runs`` by tower, with what they were made
of: seconds per step of the plan's way, image, caption, and cached update, and the hours.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# Run by its path, a script sees its own folder only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.cached_head import CachedHead
from benchmarks.towers_and_images import (
    Images,
    measure_each,
    parse_options,
)
from siglip2_multimodal_hash.errors import run_guarded
from siglip2_multimodal_hash.features.mapper import Mapper
from siglip2_multimodal_hash.features.reader import Batch, ImageReader, TextReader, read_batches
from siglip2_multimodal_hash.features.towers import Towers

IMAGES, CAPTIONS, EPOCHS, STEP = 113_287, 5, 30, 64


@dataclass(frozen=True)
class Load:
    """In each of so many rounds: steps of the plan's way, as many batches to embed, updates."""

    rounds: int
    steps: int
    updates: int


# The base tower takes half a minute a step on a CPU.
LOADS = {
    ("base", "cpu"): Load(3, 1, 100),
    ("tiny", "cpu"): Load(4, 50, 100),
    ("base", "cuda"): Load(3, 100, 200),
    ("tiny", "cuda"): Load(3, 100, 200),
}


@dataclass(frozen=True)
class Seconds:
    """Measured seconds: of a plan's step, one image, one caption, and an update on the cache."""

    plan_step: float
    image: float
    caption: float
    cached_update: float


class PairReader:
    """Batches of images with one caption each, as the plan's loader gives them."""

    def __init__(self, images: ImageReader, texts: Sequence[str], towers: Towers) -> None:
        self._images = images
        self._texts = texts
        self._tokenize = towers.tokenize

    def __len__(self) -> int:
        return len(self._images)

    def rows_before(self, number: int) -> int:
        """See :class:`.reader.Reader`."""
        return self._images.rows_before(number)

    def __getitem__(self, number: int) -> Batch:
        batch = self._images[number]
        texts = [self._texts[row] for row in batch.rows]
        return Batch((batch.inputs or {}) | self._tokenize(texts), batch.rows, batch.items)


def measure(towers: Towers, images: Images, load: Load, threads: int) -> Seconds:
    """Both ways in turn; the median over the rounds of each figure."""
    count = load.steps * STEP
    reader = ImageReader(images.source, images.take(count), towers.preprocess, STEP)
    texts = [f"a photo of {number} things" for number in range(count)]
    pairs, captions = PairReader(reader, texts, towers), TextReader(texts, towers.tokenize, STEP)
    encode_images, encode_texts = Mapper(towers.encode_images), Mapper(towers.encode_tokens)
    width = towers.model.config.vision_config.hidden_size
    head = CachedHead(width, towers.device)
    on_gpu = towers.device.type == "cuda"

    def plan() -> None:
        for batch in read_batches(pairs, threads, pin_memory=on_gpu):
            inputs = dict(batch.inputs or {})
            tokens = {"input_ids": inputs.pop("input_ids")}
            head.update(towers.encode_images(inputs), towers.encode_tokens(tokens))

    def embed(reader: ImageReader | TextReader, encode: Mapper) -> None:
        for batch in read_batches(reader, threads, pin_memory=on_gpu):
            encode(batch)

    head.train(2)  # Makes what the first call makes.
    encode_images(reader[0]), encode_texts(captions[0])
    found = []
    for number in range(load.rounds):
        print(f"round {number + 1} of {load.rounds}", flush=True)
        found.append(
            Seconds(
                plan_step=_timed(plan) / load.steps,
                image=_timed(lambda: embed(reader, encode_images)) / count,
                caption=_timed(lambda: embed(captions, encode_texts)) / count,
                cached_update=_timed(lambda: head.train(load.updates)) / load.updates,
            )
        )
    names = asdict(found[0])
    return Seconds(**{name: statistics.median(getattr(f, name) for f in found) for name in names})


def extrapolate(seconds: Seconds) -> dict[str, float]:
    """Hours of both ways for the whole of COCO, and how many times as long the plan's way takes."""
    steps = EPOCHS * (IMAGES // STEP)
    plan, training = steps * seconds.plan_step, steps * seconds.cached_update
    embedding = IMAGES * (seconds.image + CAPTIONS * seconds.caption)
    return {
        "factor_1_run": round(plan / (embedding + training), 1),
        "factor_27_runs": round(27 * plan / (embedding + 27 * training), 1),
        "plan_hours_1_run": round(plan / 3600, 3),
        "embedding_hours": round(embedding / 3600, 3),
        "cached_training_hours_1_run": round(training / 3600, 3),
    }


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def run(arguments: argparse.Namespace, loads: dict[tuple[str, str], Load]) -> dict[str, Any]:
    """The figures of each tower."""

    def figures(towers: Towers, images: Images, load: Load) -> dict[str, Any]:
        seconds = measure(towers, images, load, arguments.threads)
        return {
            **extrapolate(seconds),
            "source": images.described,
            "seconds": {name: float(f"{value:.3g}") for name, value in asdict(seconds).items()},
            "steps": load.rounds * load.steps,
            "updates": load.rounds * load.updates,
        }

    result = measure_each(arguments, loads, lambda load: load.steps * STEP, figures)
    factors = {
        name: {which: result[which][name] for which in arguments.towers}
        for name in ("factor_1_run", "factor_27_runs")
    }
    return factors | result


if __name__ == "__main__":
    run_guarded(lambda: print(json.dumps(run(parse_options(__doc__.splitlines()[0]), LOADS))))
