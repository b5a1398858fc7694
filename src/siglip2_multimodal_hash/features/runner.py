"""Embed a dataset: reader -> mapper -> writer, each of the three timed."""

import logging
from pathlib import Path

from tqdm import tqdm

from siglip2_multimodal_hash.datasets.images import ImageSource
from siglip2_multimodal_hash.datasets.index import DatasetIndex
from siglip2_multimodal_hash.features import store
from siglip2_multimodal_hash.features.devices import choose_device
from siglip2_multimodal_hash.features.mapper import Mapper, encode_texts
from siglip2_multimodal_hash.features.meta import describe
from siglip2_multimodal_hash.features.prompts import encode_prompts
from siglip2_multimodal_hash.features.reader import (
    ImageReader,
    Reader,
    TextReader,
    read_batches,
    unreadable,
)
from siglip2_multimodal_hash.features.timing import Stopwatch
from siglip2_multimodal_hash.features.towers import load_towers
from siglip2_multimodal_hash.features.writer import ArrayWriter
from siglip2_multimodal_hash.files import replacing, save_array, write_json
from siglip2_multimodal_hash.params import BackboneParams, RuntimeParams

logger = logging.getLogger(__name__)


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
    image_reader = ImageReader(images, files, towers.preprocess, size)
    text_reader = TextReader(index.captions(), towers.tokenize, size)
    sizes = {"images": len(files), "captions": int(offsets[-1]), "classes": len(prompts)}
    with replacing(folder) as temporary:
        temporary.mkdir()
        image = ArrayWriter(temporary / store.IMAGE, sizes["images"])
        caption = ArrayWriter(temporary / store.CAPTION, sizes["captions"])
        pinned = towers.device.type == "cuda"
        run_pipeline(
            image_reader, Mapper(towers.encode_images), image, runtime, "images", pin_memory=pinned
        )
        run_pipeline(
            text_reader,
            Mapper(towers.encode_tokens),
            caption,
            runtime,
            "captions",
            pin_memory=pinned,
        )
        save_array(temporary / store.OFFSETS, offsets)
        save_array(temporary / store.PROMPT, prompts)
        widths = {"image_dim": image.width or 0, "caption_dim": caption.width or 0}
        write_json(temporary / store.META, describe(backbone, towers, sizes | widths))


def run_pipeline(
    reader: Reader,
    mapper: Mapper,
    writer: ArrayWriter,
    runtime: RuntimeParams,
    unit: str,
    *,
    pin_memory: bool,
) -> None:
    """Read, map and write every batch; log the rate and the bottleneck.

    Args:
        reader: What to embed.
        mapper: The tower.
        writer: Where to put it.
        runtime: Workers and progress bar.
        unit: What an item is called.
        pin_memory: Whether the tower is on a GPU; see :func:`.read_batches`.

    Raises:
        DataError: Items cannot be read. From the first one on, the rest is only read.
    """
    watch, failures = Stopwatch(), list[str]()
    batches = read_batches(reader, runtime.dataloader.num_workers, pin_memory=pin_memory)
    with tqdm(total=writer.rows, desc=unit, disable=not runtime.logging.progress) as bar:
        while True:
            with watch.time("reader"):
                batch = next(batches, None)
            if batch is None:
                break
            bar.update(len(batch.rows))
            failures += batch.failures
            if failures:
                continue
            with watch.time("mapper"):
                features = mapper(batch)
            with watch.time("writer"):
                writer.write(batch.rows, features)
    if failures:
        raise unreadable(failures)
    with watch.time("writer"):
        writer.flush()
    logger.info("%s", watch.report(writer.rows, unit))
