"""Embed a dataset: reader -> mapper -> writer, each of the three timed.

A killed run is continued, see :mod:`.partial`. Its progress is recorded shard by shard: a shard is
as many whole batches as :data:`SHARD_SECONDS` take, be they ten of a CPU or a thousand of a GPU.
"""

import logging
import time
from contextlib import closing
from pathlib import Path

from tqdm import tqdm

from siglip2_multimodal_hash.datasets.images import ImageSource
from siglip2_multimodal_hash.datasets.index import DatasetIndex
from siglip2_multimodal_hash.features import store
from siglip2_multimodal_hash.features.devices import choose_device
from siglip2_multimodal_hash.features.fingerprint import fingerprint
from siglip2_multimodal_hash.features.mapper import Mapper, encode_texts
from siglip2_multimodal_hash.features.meta import describe
from siglip2_multimodal_hash.features.partial import PartialWork, partial_work
from siglip2_multimodal_hash.features.prompts import encode_prompts
from siglip2_multimodal_hash.features.reader import (
    ImageReader,
    Reader,
    TextReader,
    read_batches,
    unreadable,
)
from siglip2_multimodal_hash.features.spec import EmbeddingSpec
from siglip2_multimodal_hash.features.timing import Stopwatch
from siglip2_multimodal_hash.features.towers import load_towers
from siglip2_multimodal_hash.files import save_array, write_json
from siglip2_multimodal_hash.params import RuntimeParams

logger = logging.getLogger(__name__)

# The most that a kill costs, but for the batch at hand; a sync takes a fraction of a second.
SHARD_SECONDS = 20.0


def embed_dataset(
    index: DatasetIndex,
    images: ImageSource,
    backbone: EmbeddingSpec,
    runtime: RuntimeParams,
    folder: Path,
    shard_seconds: float = SHARD_SECONDS,
) -> None:
    """Write the embeddings of all images, captions and class prompts to ``folder``.

    The folder appears when everything is in it. After a kill, Ctrl-C or an error the whole shards
    stay beside it, and the next call goes on from there to the same bytes; see :mod:`.partial`.

    Raises:
        DataError: Images cannot be read (all of them are found in one pass and named), a tower
            gives NaN, or another process embeds into the same folder.
        InputError: See :func:`.towers.load_towers` and :func:`.prompts.encode_prompts`.
    """
    towers = load_towers(backbone, choose_device(runtime.device))
    size = runtime.dataloader.embed_batch_size
    # First, because it takes a moment and tells a tokenizer that does not fit.
    prompts = encode_prompts(
        lambda texts: encode_texts(towers, texts, size),
        index.category_names,
        backbone.prompt_templates,
    )
    offsets = index.caption_offsets()
    files = index.frame["file_name"].tolist()
    readers: dict[str, Reader] = {
        "images": ImageReader(images, files, towers.preprocess, size),
        "captions": TextReader(index.captions(), towers.tokenize, size),
    }
    encoders = {"images": towers.encode_images, "captions": towers.encode_tokens}
    rows = {"images": len(files), "captions": int(offsets[-1])}
    meta = describe(backbone, towers, rows | {"classes": len(prompts)})
    made_by = fingerprint(index, meta, Path(backbone.checkpoint), size, towers.device)
    batches = {unit: len(reader) for unit, reader in readers.items()}
    with partial_work(folder, made_by, rows, batches) as work:
        for unit, reader in readers.items():
            run_pipeline(
                reader,
                Mapper(encoders[unit]),
                work,
                runtime,
                unit,
                pin_memory=towers.device.type == "cuda",
                shard_seconds=shard_seconds,
            )
        save_array(work.folder / store.OFFSETS, offsets)
        save_array(work.folder / store.PROMPT, prompts)
        widths = {
            "image_dim": work.writers["images"].width or 0,
            "caption_dim": work.writers["captions"].width or 0,
        }
        write_json(work.folder / store.META, meta | widths)
        work.complete()


def run_pipeline(
    reader: Reader,
    mapper: Mapper,
    work: PartialWork,
    runtime: RuntimeParams,
    unit: str,
    *,
    pin_memory: bool,
    shard_seconds: float,
) -> None:
    """Read, map and write every batch that is not done; log the rate and the bottleneck.

    Args:
        reader: What to embed.
        mapper: The tower.
        work: Where to put it.
        runtime: Workers and progress bar.
        unit: What an item is called: ``images`` or ``captions``.
        pin_memory: Whether the tower is on a GPU; see :func:`.read_batches`.
        shard_seconds: How often to record the progress.

    Raises:
        DataError: Items cannot be read. From the first one on, the rest is only read, and no
            progress is recorded any more.
    """
    start, writer = work.done[unit], work.writers[unit]
    before = reader.rows_before(start)
    if 0 < start < len(reader):
        logger.info("%s: continuing at batch %d of %d", unit, start + 1, len(reader))
    watch, failures, recorded = Stopwatch(), list[str](), time.monotonic()
    batches = read_batches(
        reader, runtime.dataloader.num_workers, start=start, pin_memory=pin_memory
    )
    progress = tqdm(
        total=writer.rows, initial=before, desc=unit, disable=not runtime.logging.progress
    )
    with closing(batches), progress as bar:
        for number in range(start, len(reader)):
            with watch.time("reader"):
                batch = next(batches)
            bar.update(len(batch.rows))
            failures += batch.failures
            if failures:
                continue
            with watch.time("mapper"):
                features = mapper(batch)
            with watch.time("writer"):
                writer.write(batch.rows, features)
                if time.monotonic() - recorded >= shard_seconds or number + 1 == len(reader):
                    work.record(unit, number + 1)
                    recorded = time.monotonic()
    if failures:
        raise unreadable(failures)
    if start < len(reader):
        logger.info("%s", watch.report(writer.rows - before, unit))
