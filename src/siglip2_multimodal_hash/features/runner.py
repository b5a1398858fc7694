"""Embed a dataset: reader -> mapper -> writer, run by one of the :mod:`.engines`.

The reader works ahead in threads, so what is timed is the wait for its next batch: the three times
do not overlap, and add up to the whole. A long wait for the reader calls for more
``runtime.dataloader.num_workers``; one for the mapper means that the towers are kept busy.

A killed run is continued, see :mod:`..resume`. Its progress is recorded shard by shard: a shard is
as many whole batches as :data:`SHARD_SECONDS` take, be they ten of a CPU or a thousand of a GPU.
"""

from pathlib import Path

from siglip2_multimodal_hash.arrays import save_array
from siglip2_multimodal_hash.datasets.images import ImageSource
from siglip2_multimodal_hash.datasets.items import DatasetItems
from siglip2_multimodal_hash.device import choose_device
from siglip2_multimodal_hash.errors import explained_disk
from siglip2_multimodal_hash.features import store
from siglip2_multimodal_hash.features.backoff import BackingOff
from siglip2_multimodal_hash.features.compilation import compiled
from siglip2_multimodal_hash.features.engines import open_engine
from siglip2_multimodal_hash.features.mapper import encode_texts
from siglip2_multimodal_hash.features.meta import describe, fingerprint
from siglip2_multimodal_hash.features.openvino_backend import backend_version, with_openvino
from siglip2_multimodal_hash.features.prompts import encode_prompts
from siglip2_multimodal_hash.features.reader import ImageReader, Reader, TextReader
from siglip2_multimodal_hash.features.spec import EmbeddingSpec
from siglip2_multimodal_hash.features.towers import Towers, load_towers
from siglip2_multimodal_hash.features.writer import unfinished_embeddings
from siglip2_multimodal_hash.files import write_json
from siglip2_multimodal_hash.params import RuntimeParams
from siglip2_multimodal_hash.resume import DISK_REMEDY

# The most that a kill costs, but for the batch at hand; a sync takes a fraction of a second.
SHARD_SECONDS = 20.0


def embed_dataset(
    items: DatasetItems,
    images: ImageSource,
    backbone: EmbeddingSpec,
    runtime: RuntimeParams,
    folder: Path,
    shard_seconds: float = SHARD_SECONDS,
) -> None:
    """Write the embeddings of all images, captions and class prompts to ``folder``.

    The folder appears when everything is in it. After a kill, Ctrl-C or an error the whole shards
    stay beside it, and the next call goes on from there to the same bytes; see :mod:`..resume`.

    Raises:
        DataError: Images cannot be read (all of them are found in one pass and named), a tower
            gives NaN, the disk is full, or another process embeds into the same folder.
        InputError: See :func:`.towers.load_towers`, :func:`.prompts.encode_prompts` and
            :func:`.engines.open_engine`, :func:`.openvino_backend.with_openvino` and
            :class:`.backoff.BackingOff`.
    """
    towers = load_towers(backbone, choose_device(runtime.device))
    if runtime.embed.compile:
        towers = compiled(towers)
    if runtime.embed.backend == "openvino":
        towers = with_openvino(towers)
    size = runtime.dataloader.embed_batch_size
    encode_prompt = BackingOff(towers.encode_tokens, "class prompts")
    # First, because it is quick and detects a tokenizer that does not fit.
    prompts = encode_prompts(
        lambda texts: encode_texts(towers.tokenize, encode_prompt, texts, size),
        items.category_names,
        backbone.prompt_templates,
    )
    offsets = items.caption_offsets()
    files = items.frame["file_name"].tolist()
    readers: dict[str, Reader] = {
        "images": ImageReader(images, files, towers.preprocess, size),
        "captions": TextReader(items.captions(), towers.tokenize, size),
    }
    encoders = {"images": Towers.encode_images, "captions": Towers.encode_tokens}
    rows = {"images": len(files), "captions": int(offsets[-1])}
    meta = describe(backbone, towers, rows | {"classes": len(prompts)})
    made_by = fingerprint(
        items,
        meta,
        Path(backbone.checkpoint),
        size,
        towers.device,
        compiled=runtime.embed.compile,
        backend=backend_version(runtime.embed.backend),
    )
    batches = {unit: len(reader) for unit, reader in readers.items()}
    with unfinished_embeddings(folder, made_by, rows, batches, backbone.store_dtype) as work:
        with open_engine(towers, runtime, shard_seconds) as pipeline:
            for unit, reader in readers.items():
                pipeline(reader, encoders[unit], work, unit)
        widths = {
            "image_dim": work.writers["images"].width or 0,
            "caption_dim": work.writers["captions"].width or 0,
        }
        with explained_disk(work.folder, DISK_REMEDY):
            save_array(work.folder / store.OFFSETS, offsets)
            save_array(work.folder / store.PROMPT, prompts)
            write_json(work.folder / store.META, meta | widths)
        work.complete()
