"""Unfinished work is continued only where it would come out the same."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from siglip2_multimodal_hash.datasets.index import DatasetIndex
from siglip2_multimodal_hash.features.meta import fingerprint
from siglip2_multimodal_hash.resume import computation

CPU = torch.device("cpu")
META = {"checkpoint": "tiny", "images": 12}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text("{}")
    return tmp_path


def differing(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    assert one.keys() == other.keys()
    return {key for key in one if one[key] != other[key]}


def test_the_same_is_equal_and_survives_a_file(index: DatasetIndex, folder: Path) -> None:
    first = fingerprint(index, META, folder, 5, CPU)
    assert first == fingerprint(index, META, folder, 5, CPU)
    assert first == json.loads(json.dumps(first))


def test_batch_size_backend_and_meta_count(index: DatasetIndex, folder: Path) -> None:
    plain = fingerprint(index, META, folder, 5, CPU)
    assert differing(plain, fingerprint(index, META, folder, 6, CPU)) == {"batch_size"}
    other = fingerprint(index, META, folder, 5, CPU, backend="openvino 2026.4.1")
    assert differing(plain, other) == {"backend"}
    renamed = META | {"checkpoint": "other"}
    assert differing(plain, fingerprint(index, renamed, folder, 5, CPU)) == {"checkpoint"}


@pytest.mark.parametrize("column", ["file_name", "bytes", "captions"])
def test_each_column_that_decides_the_embeddings_counts(
    index: DatasetIndex, folder: Path, column: str
) -> None:
    plain = fingerprint(index, META, folder, 5, CPU)
    frame = index.frame.copy()
    frame[column] = frame[column].iloc[::-1].tolist() if column != "bytes" else 999
    other = fingerprint(dataclasses.replace(index, frame=frame), META, folder, 5, CPU)
    assert differing(plain, other) == {"dataset_sha256"}


def test_the_split_does_not_count(index: DatasetIndex, folder: Path) -> None:
    plain = fingerprint(index, META, folder, 5, CPU)
    other = dataclasses.replace(index, frame=index.frame.assign(split="test"))
    assert fingerprint(other, META, folder, 5, CPU) == plain


def test_the_processor_of_the_checkpoint_counts(index: DatasetIndex, folder: Path) -> None:
    plain = fingerprint(index, META, folder, 5, CPU)
    (folder / "config.json").write_text('{"resample": 3}')
    other = fingerprint(index, META, folder, 5, CPU)
    assert differing(plain, other) == {"checkpoint_sha256"}


def test_a_name_on_the_hub_is_no_folder(index: DatasetIndex) -> None:
    assert fingerprint(index, META, Path("google/no-such-folder"), 5, CPU)


def test_code_and_threads_count(index: DatasetIndex, folder: Path) -> None:
    plain = fingerprint(index, META, folder, 5, CPU)
    torch.set_num_threads(2)
    assert differing(plain, fingerprint(index, META, folder, 5, CPU)) == {"device"}
    torch.set_num_threads(1)
    one, other = (computation(CPU, (f"features/{name}.py",), ()) for name in ("towers", "store"))
    assert differing(one, other) == {"code_sha256"}
