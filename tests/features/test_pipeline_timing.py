"""The log of a pass: the three times do not overlap, and the slow part is named."""

import logging
import re
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from siglip2_multimodal_hash.arrays import Rows, Vectors
from siglip2_multimodal_hash.features.engines.local import run_pipeline
from siglip2_multimodal_hash.features.mapper import Mapper
from siglip2_multimodal_hash.features.preprocessing import Inputs
from siglip2_multimodal_hash.features.reader import Batch
from siglip2_multimodal_hash.features.store import IMAGE
from siglip2_multimodal_hash.features.writer import ArrayWriter, unfinished_embeddings
from tests.features.tiny import make_runtime

BATCHES, SIZE = 6, 2


class SlowReader:
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __len__(self) -> int:
        return BATCHES

    def rows_before(self, number: int) -> int:
        return number * SIZE

    def __getitem__(self, number: int) -> Batch:
        time.sleep(self.seconds)
        items = np.arange(SIZE)
        return Batch({}, number * SIZE + items, items)


class SlowWriter(ArrayWriter):
    seconds = 0.0

    def write(self, rows: Rows, features: Vectors) -> None:
        time.sleep(self.seconds)
        super().write(rows, features)


@pytest.mark.parametrize(
    ("reading", "mapping", "writing", "workers", "bottleneck"),
    [
        (0.1, 0.15, 0.0, 2, "mapper"),
        (0.2, 0.05, 0.0, 1, "reader"),
        (0.1, 0.02, 0.0, 0, "reader"),
        (0.1, 0.02, 0.2, 2, "writer"),
    ],
)
def test_the_bottleneck_is_what_the_pass_waits_for(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    reading: float,
    mapping: float,
    writing: float,
    workers: int,
    bottleneck: str,
) -> None:
    def encode(_inputs: Inputs) -> Tensor:
        time.sleep(mapping)
        return torch.ones(SIZE, 3)

    caplog.set_level(logging.INFO)
    rows, batches = (dict.fromkeys(("images", "captions"), n) for n in (12, BATCHES))
    began = time.perf_counter()
    with unfinished_embeddings(tmp_path / "out", {}, rows, batches) as work:
        work.writers["images"] = writer = SlowWriter(work.folder / IMAGE, BATCHES * SIZE)
        writer.seconds = writing
        run_pipeline(
            SlowReader(reading),
            Mapper(encode),
            work,
            make_runtime(workers),
            "images",
            pin_memory=False,
            shard_seconds=100,
        )
    elapsed = time.perf_counter() - began
    (line,) = (message for message in caplog.messages if "images/s" in message)
    times = {part: float(s) for part, s in re.findall(r"(reader|mapper|writer) ([\d.]+) s", line)}
    assert line.endswith(f"bottleneck: {bottleneck})")
    assert times.keys() == {"reader", "mapper", "writer"}
    assert times["mapper"] >= BATCHES * mapping - 0.05
    assert sum(times.values()) <= elapsed + 0.15  # Each is rounded to a tenth.
