"""Embed a dataset: reader -> mapper -> writer, each of the three timed."""

import hashlib
import logging
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from tqdm import tqdm

from siglip2_multimodal_hash.datasets.images import ImageSource
from siglip2_multimodal_hash.datasets.index import DatasetIndex
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.features import store
from siglip2_multimodal_hash.features.devices import choose_device
from siglip2_multimodal_hash.features.mapper import Mapper
from siglip2_multimodal_hash.features.prompts import encode_prompts
from siglip2_multimodal_hash.features.reader import ImageReader, read_batches
from siglip2_multimodal_hash.features.towers import load_towers
from siglip2_multimodal_hash.features.writer import ArrayWriter
from siglip2_multimodal_hash.files import replacing, save_array, write_json
from siglip2_multimodal_hash.params import BackboneParams, RuntimeParams

logger = logging.getLogger(__name__)

SHOWN_FAILURES = 10


class Stopwatch:
    """Seconds spent in each part."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    @contextmanager
    def time(self, part: str) -> Iterator[None]:
        """Add the block's time to ``part``."""
        began = time.perf_counter()
        yield
        self.seconds[part] += time.perf_counter() - began

    def report(self, items: int, unit: str) -> str:
        """Items a second, and the share of each part."""
        total = sum(self.seconds.values()) or 1.0
        shares = ", ".join(f"{part} {s / total:.0%}" for part, s in self.seconds.most_common())
        return f"{items / total:,.0f} {unit}s/s ({shares})"


def embed_dataset(
    index: DatasetIndex,
    images: ImageSource,
    backbone: BackboneParams,
    runtime: RuntimeParams,
    folder: Path,
) -> None:
    """Write the embeddings of all images, captions and class prompts to ``folder``.

    The folder appears when everything is in it, and not at all on failure or Ctrl-C.

    Raises:
        DataError: Images cannot be read (all of them are found in one pass and named), or a tower
            gives NaN.
        InputError: See :func:`.towers.load_towers`.
    """
    device = choose_device(runtime.device)
    towers = load_towers(backbone, device)
    size = runtime.dataloader.embed_batch_size
    mapper = Mapper(towers, size)
    reader = ImageReader(images, index.frame["file_name"].tolist(), towers.preprocess, size)
    with replacing(folder) as temporary:
        temporary.mkdir()
        image_dim = _embed_images(reader, mapper, len(index.frame), runtime, temporary)
        caption_dim = _embed_captions(index.captions(), mapper, runtime, temporary)
        save_array(temporary / store.OFFSETS, index.caption_offsets())
        prompts = encode_prompts(
            mapper.text_features, index.category_names, backbone.prompt_templates
        )
        save_array(temporary / store.PROMPT, prompts)
        write_json(
            temporary / store.META,
            {
                "checkpoint": backbone.checkpoint,
                "revision": backbone.revision,
                "weights_sha256": weights_fingerprint(Path(backbone.checkpoint)),
                "model_type": towers.model.config.model_type,
                "max_num_patches": towers.preprocess.max_num_patches,
                "text_max_length": towers.text_max_length,
                "prompt_templates": list(backbone.prompt_templates),
                "amp_dtype": backbone.amp_dtype,
                "store_dtype": "float32",
                "normalised": False,
                "images": len(index.frame),
                "captions": int(index.caption_offsets()[-1]),
                "image_dim": image_dim,
                "caption_dim": caption_dim,
            },
        )


def weights_fingerprint(checkpoint: Path) -> str | None:
    """SHA-256 over the weight files of a local folder; None for a hub name."""
    files = sorted(checkpoint.glob("*.safetensors")) if checkpoint.is_dir() else []
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest() if files else None


def _embed_images(
    reader: ImageReader, mapper: Mapper, count: int, runtime: RuntimeParams, folder: Path
) -> int:
    watch, failures = Stopwatch(), list[str]()
    writer = ArrayWriter(folder / store.IMAGE, count, "image")
    pin = runtime.device != "cpu"
    batches = read_batches(reader, runtime.dataloader.num_workers, pin_memory=pin)
    with tqdm(
        total=count, desc="images", unit="image", disable=not runtime.logging.progress
    ) as bar:
        while True:
            with watch.time("reader"):
                batch = next(batches, None)
            if batch is None:
                break
            failures += batch.failures
            if not failures:
                with watch.time("mapper"):
                    features = mapper.image_features(batch)
                with watch.time("writer"):
                    writer.write(slice(batch.start, batch.start + len(features)), features)
                bar.update(len(features))
    if failures:
        raise _unreadable(failures)
    writer.close()
    logger.info("images: %s", watch.report(count, "image"))
    return writer.width


def _embed_captions(
    captions: list[str], mapper: Mapper, runtime: RuntimeParams, folder: Path
) -> int:
    # Captions repeat, above all short ones: each distinct text is embedded once.
    distinct, inverse = np.unique(np.array(captions, dtype=np.str_), return_inverse=True)
    watch = Stopwatch()
    writer = ArrayWriter(folder / store.CAPTION, len(captions), "caption")
    by_text = np.argsort(inverse, kind="stable")
    bounds = np.searchsorted(inverse[by_text], np.arange(len(distinct) + 1))
    batches = mapper.text_batches(distinct.tolist())
    with tqdm(
        total=len(distinct), desc="captions", unit="caption", disable=not runtime.logging.progress
    ) as bar:
        while True:
            with watch.time("mapper"):
                batch = next(batches, None)
            if batch is None:
                break
            start, features = batch
            with watch.time("writer"):
                repeats = np.diff(bounds[start : start + len(features) + 1])
                rows = by_text[bounds[start] : bounds[start + len(features)]]
                writer.write(rows, np.repeat(features, repeats, axis=0))
            bar.update(len(features))
    writer.close()
    logger.info(
        "captions: %d, %d distinct, %s",
        len(captions),
        len(distinct),
        watch.report(len(distinct), "distinct caption"),
    )
    return writer.width


def _unreadable(failures: list[str]) -> DataError:
    shown = "\n  ".join(message.splitlines()[0] for message in failures[:SHOWN_FAILURES])
    more = len(failures) - SHOWN_FAILURES
    rest = f"\n  and {more} more" if more > 0 else ""
    return DataError(
        f"{len(failures)} of the images cannot be read:\n  {shown}{rest}",
        "fetch these files again; nothing was embedded",
    )
