"""What one card makes of every expensive part, and whether its results are the CPU's.

    make gpu-check
    python benchmarks/gpu_check.py [--small] [--device auto|cpu|cuda] [--out live/gpu-check.json]

needs no download and at most some eight minutes. Towers of the published sizes with random weights
embed JPEGs and captions by the project's own pass, and alone on the same batches; a head is fitted
to made-up embeddings as many and as wide as COCO's, and used; FAISS searches on the card and on the
CPU; towers are tuned by LoRA. The peak of each part is what PyTorch's tensors took of the card,
without its allocator's reserve and CUDA's own few hundred MB; on a CPU, of the process so far.
Without a card, or with ``--small``, all of it runs in seconds on narrow towers and few pairs: that
tests the check, and its figures say nothing of speed.

A part that fails, for lack of memory or of a package, is a line with the reason; the others run. A
*bound* that is broken (results unlike the CPU's) makes the exit code 1; a *goal* that is missed
does not. The table goes to the terminal, and the same as JSON to ``--out``.
"""

import argparse
import copy
import gc
import logging
import sys
import tempfile
import time
import timeit
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

# Run by its path, a script sees its own folder only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

# The project first: it pins the CPU kernels before a numerical library is loaded.
from benchmarks.devices import describe_device
from benchmarks.embed_pipeline import measure_unit
from benchmarks.index_kinds import REPEATS, made_codes
from benchmarks.peak_memory import peak_gb
from benchmarks.real_labels import CLASSES
from benchmarks.synthetic_features import CAPTIONS, write_features
from benchmarks.towers_and_images import SHAPES, Images, Shape, images_for, project_params
from benchmarks.train_head import finish, settings_of, validation
from siglip2_multimodal_hash.arrays import Vectors
from siglip2_multimodal_hash.device import choose_device, choose_precision
from siglip2_multimodal_hash.errors import InputError, run_guarded
from siglip2_multimodal_hash.features.reader import Batch, ImageReader, TextReader
from siglip2_multimodal_hash.features.towers import Towers
from siglip2_multimodal_hash.files import require_free, write_json
from siglip2_multimodal_hash.memory.limits import free_memory
from siglip2_multimodal_hash.memory.needs import tuning_needs
from siglip2_multimodal_hash.models.config import HeadConfig
from siglip2_multimodal_hash.progress import LogHandler, phase, show
from siglip2_multimodal_hash.retrieval.codes import binarize, unit_vectors
from siglip2_multimodal_hash.retrieval.hamming import nearest_in_flat
from siglip2_multimodal_hash.retrieval.index import build_index, on_gpu
from siglip2_multimodal_hash.retrieval.search import search_hamming
from siglip2_multimodal_hash.training.data import TrainingData
from siglip2_multimodal_hash.training.inference import encode_dataset
from siglip2_multimodal_hash.training.loop import fit
from siglip2_multimodal_hash.training.tuning.adapters import make_trainable
from siglip2_multimodal_hash.training.tuning.data import Split
from siglip2_multimodal_hash.training.tuning.encoding import TowerEncoder
from siglip2_multimodal_hash.training.tuning.run import build_trainer, tuning_load
from siglip2_multimodal_hash.training.tuning.settings import TuneSettings

# isort: split
import faiss
import numpy as np
import torch

logger = logging.getLogger(__name__)

OUT = Path(__file__).resolve().parents[1] / "live" / "gpu-check.json"
MINUTES, MOST_THREADS, GIB = 8, 16, 2**30
# Lengths of the difference between unit vectors. In float32, cuDNN multiplies in TF32 where it
# convolves the patches, with 10 bits of 23; bfloat16 has 7, and errs by some 0.01 on a CPU, too.
FLOAT32_BOUND, LOW_BOUND = 1e-3, 0.03
# Share of the bits: those of a soft code next to 0 may fall either way.
BITS_BOUND = 1e-4
OF_TOWER, FIT_SECONDS, EXPERIMENT_SECONDS = 0.8, 15.0, 60.0


@dataclass(frozen=True)
class Sizes:
    """Amounts of work.

    Attributes:
        compared: Images and captions that the CPU embeds, too.
    """

    towers: tuple[tuple[Shape, int, int, int], ...]  # images, captions, batch
    repetitions: int
    compared: int
    head: tuple[int, int, int]  # pairs, D, epochs
    search: tuple[int, int]  # codes, queries
    tuned: tuple[int, int, int]  # pairs at a time, times that an update adds up, updates


_BASE, _NAFLEX, _SO400M = SHAPES
FULL = Sizes(
    towers=((_BASE, 4096, 8192, 256), (_NAFLEX, 2048, 8192, 256), (_SO400M, 512, 4096, 64)),
    repetitions=3,
    compared=8,
    head=(113_287, 768, 15),
    search=(117_218, 5000),
    tuned=(16, 4, 5),
)
SMALL = Sizes(
    towers=tuple((shape.smaller(), 2, 8, 2) for shape in SHAPES),
    repetitions=1,
    compared=2,
    head=(400, 32, 2),
    search=(1000, 50),
    tuned=(2, 2, 1),
)


@dataclass(frozen=True)
class Figure:
    """A number, and what it should be: at most a bound, or as good as a goal."""

    name: str
    value: float
    bound: float | None = None
    goal: float | None = None
    more_is_better: bool = False

    @property
    def holds(self) -> bool | None:
        """Whether the limit is kept; None where there is none. NaN keeps none."""
        limit = self.goal if self.bound is None else self.bound
        if limit is None:
            return None
        return self.value >= limit if self.more_is_better else self.value <= limit


@dataclass
class Row:
    """A part of the check: its figures, or the reason why there are none."""

    part: str
    figures: list[Figure] = field(default_factory=list)
    failure: str = ""
    peak_gib: float = 0.0
    seconds: float = 0.0

    @property
    def broken(self) -> bool:
        """True where results are not the CPU's."""
        return any(one.bound is not None and not one.holds for one in self.figures)


@dataclass(frozen=True)
class Setting:
    """Everything that the parts need."""

    device: torch.device
    sizes: Sizes
    threads: int
    images: Images

    @property
    def low(self) -> torch.dtype:
        """bfloat16; float16 on cards that have no such arithmetic."""
        if self.device.type != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False):
            return torch.bfloat16
        return torch.float16


Part = Callable[[Setting], list[Figure]]


def embed(which: int, unit: str, setting: Setting) -> list[Figure]:
    """Items/s of the whole pass and of the tower alone, and the difference from the CPU's."""
    shape, images, captions, batch = setting.sizes.towers[which]
    towers = shape.build(setting.device, setting.low)
    reader: Callable[[int], ImageReader | TextReader]
    if unit == "images":
        names, source = setting.images.take(images), setting.images.source
        reader = partial(ImageReader, source, names, towers.preprocess)
    else:
        texts = [f"{number} photos of things" for number in range(captions)]
        reader = partial(TextReader, texts, towers.tokenize)
    found = measure_unit(towers, reader(batch), unit, setting.sizes.repetitions, setting.threads)
    few = reader(setting.sizes.compared)[0]
    wide, cpu = replace(towers, dtype=torch.float32), torch.device("cpu")
    low, plain = _embedded(towers, few, unit), _embedded(wide, few, unit)
    expected = _embedded(replace(wide, model=towers.model.to(cpu), device=cpu), few, unit)
    return [
        Figure(f"{unit}/s, tower alone", found[f"tower_{unit}_per_second"]),
        Figure(f"{unit}/s, from files to file", found[f"end_to_end_{unit}_per_second"]),
        Figure("the second over the first", found["ratio"], goal=OF_TOWER, more_is_better=True),
        Figure("ms of one core to read one", found["reader_ms"]),
        Figure("direction, float32", direction_error(plain, expected), bound=FLOAT32_BOUND),
        Figure(f"direction, {setting.low}", direction_error(low, expected), bound=LOW_BOUND),
    ]


def _embedded(towers: Towers, batch: Batch, unit: str) -> Vectors:
    assert batch.inputs is not None
    encode = towers.encode_images if unit == "images" else towers.encode_tokens
    embedded: Vectors = encode(batch.inputs).cpu().numpy()
    return embedded


def direction_error(found: Vectors, expected: Vectors) -> float:
    """The largest distance between a row of one and of the other at unit length; 2 for NaN."""
    if not np.isfinite(found).all():
        return 2.0
    return float(np.linalg.norm(unit_vectors(found) - unit_vectors(expected), axis=1).max())


def head(setting: Setting) -> list[Figure]:
    """A fit, then the codes of all pairs and the neighbours of some."""
    (pairs, width, epochs), device = setting.sizes.head, setting.device
    params = project_params()
    params = params.model_copy(update={"hash": params.hash.model_copy(update={"bits": 64})})
    settings = settings_of(params, num_epochs=epochs, max_updates=0, monitor="mlp")
    runtime = params.runtime.model_copy(update={"device": device.type})
    config = HeadConfig.from_params(params, width, width, CLASSES)
    with tempfile.TemporaryDirectory() as folder:
        with phase("drawing the embeddings"):
            features = write_features(Path(folder), pairs, width, None)
        image, caption = features.image, features.caption[::CAPTIONS]
        train = TrainingData.select(np.arange(pairs), **features._asdict())
        val = validation(features)
        began = time.perf_counter()
        fitted = fit(config, train, val, replace(settings, runtime=runtime))
        finish(device)
        fit_seconds = time.perf_counter() - began
        soft, _ = encode_dataset(
            fitted.network, image, caption, runtime.dataloader.inference_batch_size
        )
        codes = binarize(soft)
        search_hamming(build_index(codes), codes[: len(val.labels)], params.knn.K)
        seconds = time.perf_counter() - began
        few = len(val.labels)
        on_cpu = copy.deepcopy(fitted.network).cpu()
        expected, _ = encode_dataset(on_cpu, image[:few], caption[:few], few)
    differing = np.bitwise_count(codes[:few] ^ binarize(expected)).mean() / 8
    return [
        Figure(f"s of a fit, {epochs} epochs", fit_seconds, goal=FIT_SECONDS),
        Figure("s of fit, codes, index and neighbours", seconds, goal=EXPERIMENT_SECONDS),
        Figure("mAP of the classifier on some of its pairs", fitted.val_map),
        Figure("share of bits unlike the CPU's", float(differing), bound=BITS_BOUND),
    ]


def search(setting: Setting) -> list[Figure]:
    """Exhaustive search by FAISS alone on both devices, and the neighbours of the project."""
    (count, asked), K = setting.sizes.search, project_params().knn.K
    database, queries = made_codes(count, asked, 64)
    index = build_index(database)
    inner, on_card = index.faiss_index, setting.device.type == "cuda"
    free = free_memory(setting.device)
    searcher = on_gpu(index) if on_card else inner
    if on_card and searcher is inner:
        raise InputError("this FAISS has no GPU", "make ACCELERATOR=gpu install (Linux)")
    began = time.perf_counter()
    distances, _ = searcher.search(queries, K)
    first = time.perf_counter() - began
    taken = free - free_memory(setting.device)
    here, there = (
        min(timeit.repeat(partial(one.search, queries, K), number=1, repeat=REPEATS))
        for one in (searcher, inner)
    )
    expected, _ = inner.search(queries, K)
    found = search_hamming(index, queries, K).rows
    _, rows = nearest_in_flat(inner, queries, K)
    return [
        Figure("s of the first search, which may compile", first),
        Figure("ms per query", 1000 * here / len(queries)),
        Figure("ms per query, CPU", 1000 * there / len(queries)),
        *([Figure("GiB of the card", taken / GIB)] if on_card else []),
        Figure("distances unlike the CPU's", int((distances != expected).sum()), bound=0),
        Figure("ids unlike the CPU's", int((found != rows).sum()), bound=0),
    ]


def tune(setting: Setting) -> list[Figure]:
    """Updates of the smallest tower by LoRA, from JPEGs, and the memory that was expected."""
    params, device = project_params(), setting.device
    size, steps, updates = setting.sizes.tuned
    tuning = params.tune.model_copy(update={"batch_size": size, "accumulation_steps": steps})
    backbone = params.backbone.model_copy(update={"tune": "lora"})
    settings = TuneSettings.from_params(
        params.model_copy(update={"tune": tuning, "backbone": backbone})
    )
    shape = setting.sizes.towers[0][0]
    towers = shape.build(device, torch.float32)
    make_trainable(towers.model, settings)
    towers.model.to(device)
    precision = choose_precision(settings.mixed_precision, device)
    config = settings.head(shape.width, shape.width, CLASSES)
    needs = tuning_needs(tuning_load(towers.model, config, settings, precision))
    network = settings.start.build(config).to(device)
    labels = (torch.rand(size * steps * updates, CLASSES) < 2.9 / CLASSES).float()

    def split_of(count: int) -> Split:
        pairs = size * steps * count
        captions = tuple((f"{number} photos of things",) for number in range(pairs))
        return Split(tuple(setting.images.take(pairs)), captions, labels[:pairs])

    encoder = TowerEncoder(towers, precision)
    trainer = build_trainer(encoder, network, split_of(updates), updates, settings)

    def run(epoch: int, count: int) -> float:
        split = split_of(count)
        began = time.perf_counter()
        trainer.run(epoch, epoch - 1, setting.images.source, split, lambda *_: None)
        finish(device)
        return (time.perf_counter() - began) / count

    # As the stage asks of a card while it tunes.
    torch.use_deterministic_algorithms(device.type == "cuda", warn_only=True)
    try:
        run(1, 1)  # Makes what the first call makes.
        seconds = run(2, updates)
    finally:
        torch.use_deterministic_algorithms(False)
    return [
        Figure(f"s per update of {size * steps} pairs", seconds),
        Figure("pairs/s", size * steps / seconds),
        Figure("GiB expected", needs.total / GIB),
    ]


def parts(sizes: Sizes) -> dict[str, Part]:
    """All of them, by name, what costs little first."""
    found: dict[str, Part] = {"FAISS, 64 bits": search, "head": head}
    for which, (shape, *_) in enumerate(sizes.towers):
        for unit in ("images", "captions"):
            found[f"{shape.name}, {unit}"] = partial(embed, which, unit)
    return found | {f"LoRA, {sizes.towers[0][0].name}": tune}


def attempt(name: str, part: Part, setting: Setting) -> Row:
    """The figures of a part, its time and peak memory; or why it has none."""
    row, on_card = Row(name), setting.device.type == "cuda"
    began = time.perf_counter()
    try:
        gc.collect()  # what the part before held; its error has let go of its tensors by now
        if on_card:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        row.figures = part(setting)
        row.peak_gib = torch.cuda.max_memory_allocated() / GIB if on_card else peak_gb()
    # CUDA, FAISS and peft each have errors of their own.
    except Exception as error:
        row.failure = " ".join(str(error).split()) or type(error).__name__
        logger.warning("%s: %s", name, row.failure)
    row.seconds = time.perf_counter() - began
    logger.info("%s: done in %.1f s", name, row.seconds)
    return row


def check(setting: Setting, todo: dict[str, Part], minutes: float = MINUTES) -> list[Row]:
    """Run the parts in turn; those that would begin after so many minutes are left out."""
    end = time.monotonic() + 60 * minutes
    rows = []
    with phase("GPU check", len(todo), "part") as progress:
        for name, part in todo.items():
            progress.note = name
            if time.monotonic() < end:
                rows.append(attempt(name, part, setting))
            else:
                rows.append(Row(name, failure=f"left out: {minutes:g} minutes are over"))
            progress.update()
    return rows


def table(rows: list[Row]) -> str:
    """A line a figure, and behind it what it should be."""
    lines = [f"{'part':22} {'figure':42} {'value':>12}  limit"]
    for row in rows:
        if row.failure:
            lines.append(f"{row.part:22} no figures: {row.failure}")
            continue
        rest = [Figure("GiB at most", row.peak_gib), Figure("s in all", row.seconds)]
        lines += [_line(row.part, one) for one in (*row.figures, *rest)]
    return "\n".join(lines)


def _line(part: str, figure: Figure) -> str:
    limit = ""
    if figure.holds is not None:
        kind, value = ("goal", figure.goal) if figure.bound is None else ("bound", figure.bound)
        verdict = {"goal": "missed", "bound": "BROKEN"}[kind] if not figure.holds else "kept"
        limit = f"{kind} {'>=' if figure.more_is_better else '<='} {value:g}: {verdict}"
    return f"{part:22} {figure.name:42} {figure.value:>12.4g}  {limit}".rstrip()


def as_json(rows: list[Row], setting: Setting) -> dict[str, Any]:
    """The table, and what it was measured with."""
    return {
        "device": describe_device(setting.device),
        "small": setting.sizes is SMALL,
        "threads": setting.threads,
        "amp_dtype": str(setting.low),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "faiss": faiss.__version__,
        "rows": [asdict(row) | {"broken": row.broken} for row in rows],
    }


def main() -> None:
    """Parse the command line, run the parts, and say what they gave."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="narrow towers, few pairs")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--out", type=Path, default=OUT, metavar="FILE", help="JSON")
    arguments = parser.parse_args()
    require_free(arguments.out)
    device = choose_device(arguments.device)
    small = arguments.small or device.type == "cpu"
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[LogHandler()])
    logger.info("%s%s", describe_device(device), ", small: no figure of speed" if small else "")
    sizes = SMALL if small else FULL
    threads = min(torch.get_num_threads(), MOST_THREADS)
    with tempfile.TemporaryDirectory() as scratch:
        with phase("drawing photos"):
            images = images_for("photos", None, Path(scratch), 128 if not small else 2)
        setting = Setting(device, sizes, threads, images)
        rows = check(setting, parts(sizes))
    if small:
        for row in rows:
            row.figures = [replace(one, goal=None) for one in row.figures]
    write_json(arguments.out, as_json(rows, setting))
    print(table(rows))
    print(f"the same as JSON: {arguments.out}")
    if any(row.broken for row in rows):
        sys.exit("a bound is broken: this device computes other results")


if __name__ == "__main__":
    show()
    run_guarded(main)
