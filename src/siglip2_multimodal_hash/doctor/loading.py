"""Trial run of the towers on the device with one image and one caption: time and memory."""

import time

import numpy as np
import psutil
import torch
from PIL import Image

from siglip2_multimodal_hash.device import choose_device
from siglip2_multimodal_hash.doctor.checkpoints import Checkpoint, download_command
from siglip2_multimodal_hash.doctor.findings import Finding, fail_with, ok, warn
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.features.towers import load_towers
from siglip2_multimodal_hash.files import size_text
from siglip2_multimodal_hash.memory.limits import explained_out_of_memory
from siglip2_multimodal_hash.params import IMPORTED, Params

TITLE = "towers"
_WIDTH, _HEIGHT = 640, 480  # of most of COCO's photos
_CAPTION = "a photo of a dog on a sofa"


def check_loading(params: Params, checkpoint: Checkpoint) -> Finding:
    """Load the checkpoint as ``embed`` does, and run a random image and a caption through it.

    What is not on this machine yet is not downloaded.

    Args:
        params: ``backbone`` and ``runtime.device`` are read.
        checkpoint: Result of :func:`.look_up`.
    """
    if params.backbone.checkpoint == IMPORTED:
        return ok(TITLE, "the features are imported, so none will run")
    if checkpoint.place not in ("folder", "cache"):
        return warn(
            TITLE, "not loaded: the checkpoint is not on this machine",
            download_command(params.backbone),
        )  # fmt: skip
    remedy = (
        "end other programs on the device, choose a smaller backbone, or set runtime.device to cpu"
    )
    try:
        with explained_out_of_memory("one image", remedy):
            return ok(TITLE, _loaded(params))
    except InputError as error:
        return fail_with(TITLE, error)


def _loaded(params: Params) -> str:
    """Time and memory of loading and running, as text."""
    process, began = psutil.Process(), time.perf_counter()
    before = process.memory_info().rss
    device = choose_device(params.runtime.device)
    towers = load_towers(params.backbone, device)
    loaded = time.perf_counter() - began
    pixels = np.random.default_rng(0).integers(256, size=(_HEIGHT, _WIDTH, 3), dtype=np.uint8)
    seconds = []
    for _ in range(2):  # the first time libraries set themselves up
        began = time.perf_counter()
        image = towers.encode_images(towers.preprocess([Image.fromarray(pixels)])).cpu()
        caption = towers.encode_texts([_CAPTION]).cpu()
        seconds.append(time.perf_counter() - began)
    held = f"{size_text(max(0, process.memory_info().rss - before))} more of main memory"
    if device.type == "cuda":
        held = f"at most {size_text(torch.cuda.max_memory_reserved())} of the card, {held}"
    return (
        f"{params.backbone.name} on {device.type}: loaded in {loaded:.1f} s; one image and one "
        f"caption to {image.shape[1]} and {caption.shape[1]} values in {seconds[0]:.2f} s, again "
        f"in {seconds[1]:.2f} s; {held}"
    )
