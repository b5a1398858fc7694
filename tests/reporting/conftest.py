"""A tiny dataset with an evaluated head: what every part of the report is made from."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from siglip2_multimodal_hash.datasets.index import DatasetIndex, make_index
from siglip2_multimodal_hash.datasets.object_sizes import ObjectSizes
from siglip2_multimodal_hash.datasets.statistics import dataset_statistics
from siglip2_multimodal_hash.evaluation.error_analysis import errors_of_test
from siglip2_multimodal_hash.evaluation.heads import SplitRows, evaluate_head
from siglip2_multimodal_hash.evaluation.store import (
    StoredEvaluation,
    read_evaluation,
    write_evaluation,
)
from siglip2_multimodal_hash.params import KnnParams
from siglip2_multimodal_hash.retrieval.codes import unit_vectors
from siglip2_multimodal_hash.retrieval.index import build_index
from siglip2_multimodal_hash.retrieval.store import HeadCodes

NAMES = ("person", "hot dog", "<b>cat</b>", "unicorn")
SPLITS = ("train", "restval", "val", "test")
COUNT = 32
BITS = 16


class ColouredImages:
    """Images of one colour each: the i-th file has the i-th shade."""

    def open(self, file_name: str) -> Image.Image:
        shade = int(file_name[-6:-4])
        return Image.new("RGB", (300, 200), (8 * shade, 40, 40))

    def read(self, file_name: str) -> bytes:
        raise AssertionError(file_name)

    def decode(self, data: bytes, file_name: str) -> Image.Image:
        raise AssertionError(file_name)


@dataclass(frozen=True)
class Example:
    dataset: DatasetIndex
    statistics: dict[str, Any]
    codes: HeadCodes
    evaluation: StoredEvaluation
    history: list[dict[str, Any]]
    errors: dict[str, Any]


def make_dataset() -> DatasetIndex:
    labels = (np.random.default_rng(1).random((COUNT, 4)) < 0.4).astype(np.uint8)
    labels[:8, :3] = 1
    labels[:, 3] = 0  # nowhere: its average precision is undefined
    labels[31] = 0
    columns = {
        "image_id": range(COUNT),
        "file_name": [f"val2014/{number:02d}.jpg" for number in range(COUNT)],
        "split": [SPLITS[number % 4] for number in range(COUNT)],
        **dict.fromkeys(("width", "height", "bytes"), [100] * COUNT),
    }
    captions = [[f"caption {number}", "another one"] for number in range(COUNT)]
    captions[3] = ['<script>alert("a & b")</script>']
    captions[7] = ['" onerror="alert(1)']
    return make_index(columns, captions, labels, (1, 2, 3, 4), NAMES)


def make_example(folder: Path, bits: int) -> Example:
    dataset = make_dataset()
    labels = dataset.labels()
    generator = np.random.default_rng(2)
    signal = (2.0 * labels - 1) @ generator.standard_normal((4, BITS))
    soft = np.tanh(signal + generator.standard_normal(signal.shape)).astype(np.float32)
    scores = (0.4 * labels + 0.6 * generator.random(labels.shape)).astype(np.float32)
    codes = HeadCodes(
        soft if bits else unit_vectors(soft),
        np.packbits(soft > 0, axis=1) if bits else None,
        scores,
    )
    knn = KnnParams(
        K=5,
        distance="hamming" if bits else "cosine",
        vote="uniform",
        tau=0.07,
        threshold=0.5,
        shortlist=10,
        hybrid_weight=0.5,
        top_n_tags=3,
    )
    rows = SplitRows.of(dataset)
    index = build_index(codes.searchable()[rows.train])
    write_evaluation(folder, evaluate_head(codes, index, labels, rows, knn))
    history: list[dict[str, Any]] = [
        # The closed form: validated and not trained.
        {"epoch": 0, "val_total": 2.0, "val_bce": 1.75, "val_mAP": 0.375, "val_bit_entropy": 1.0},
        {"epoch": 1, "lr": 1e-4, "train_total": 2.5, "train_bce": 2.0},
        {"epoch": 2, "lr": 2e-4, "train_total": 1.5, "train_bce": 1.25}
        | {"val_total": 1.75, "val_bce": 1.5, "val_mAP": 0.5, "val_bit_entropy": 0.75},
        {"epoch": 3, "lr": 1e-4, "train_total": 1.0, "train_bce": 0.75}
        | {"val_total": 1.7, "val_bce": 1.4, "val_mAP": 0.625, "val_bit_entropy": 0.875},
    ]
    evaluation = read_evaluation(folder)
    # Of 100 x 100 pixels a person covers 4%, a hot dog 8%, a cat 12%.
    images, columns = labels.nonzero()
    ids = dataset.frame["image_id"].to_numpy()[images]
    sizes = ObjectSizes(ids, columns + 1, np.float64(400) * (columns + 1))
    errors = errors_of_test(dataset, evaluation, sizes, "first")
    return Example(dataset, dataset_statistics(dataset), codes, evaluation, history, errors)


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Example:
    """With codes of 16 bits."""
    return make_example(tmp_path_factory.mktemp("coded") / "evaluation", BITS)


@pytest.fixture(scope="session")
def uncoded(tmp_path_factory: pytest.TempPathFactory) -> Example:
    """Without a hash layer."""
    return make_example(tmp_path_factory.mktemp("uncoded") / "evaluation", 0)


@pytest.fixture(scope="session")
def coloured_images() -> ColouredImages:
    return ColouredImages()


@pytest.fixture(scope="session")
def read_csv() -> Callable[[Path], list[list[str]]]:
    def read(path: Path) -> list[list[str]]:
        return [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]

    return read
