"""The stages fetch what is missing of COCO only where they may."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.datasets.acquisition.conftest import Server
from tests.pipeline.conftest import run_stage, small_params, working_in

Write = Callable[..., None]


def _zip(files: dict[str, Path]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, path in files.items():
            archive.write(path, name)
    return stream.getvalue()


@pytest.fixture
def write(tiny: Any, server: Server, tmp_path: Path) -> Write:
    """Writes params.yaml whose addresses lead to a server with a tiny COCO."""
    source = tiny.write(tmp_path / "source", "zip")
    for name in ("train2014.zip", "val2014.zip"):
        server.add(name, (source / "images" / name).read_bytes())
    texts = {f"annotations/{one.name}": one for one in (source / "annotations").iterdir()}
    server.add("annotations.zip", _zip(texts))
    server.add("split.zip", _zip({"dataset_coco.json": source / "karpathy_split.json"}))
    for name in ("train", "test", "database"):
        server.add(f"{name}.txt", f"val2014/COCO_val2014_{name}.jpg 0 1\n".encode())

    def written(**more: Any) -> None:
        settings: dict[str, Any] = {
            "dataset__kind": "coco2014",
            "dataset__name": "coco2014",
            "runtime__coco_root": str(tmp_path / "root"),
            "runtime__download__train_images": server.url("train2014.zip"),
            "runtime__download__val_images": server.url("val2014.zip"),
            "runtime__download__annotations": server.url("annotations.zip"),
            "runtime__download__karpathy_split": server.url("split.zip"),
            "runtime__download__hashnet_lists": server.url().rstrip("/"),
            "runtime__download__attempts": 1,
        }
        (tmp_path / "params.yaml").write_text(small_params(**settings | more), encoding="utf-8")

    return written


def _prepare(folder: Path) -> int:
    with working_in(folder):
        return run_stage(["stages.prepare_dataset", "--out", "out"])


def _requests(server: Server) -> int:
    return sum(len(file.requests) for file in server.files.values())


def test_by_default_a_stage_names_the_command(
    write: Write, server: Server, tmp_path: Path, capsys: Any
) -> None:
    (tmp_path / "root").mkdir()
    write()
    assert _prepare(tmp_path) == 2
    assert "`smhash download coco2014`" in capsys.readouterr().err
    assert _requests(server) == 0


def test_where_it_may_it_fetches_once(write: Write, server: Server, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    write(runtime__download__enabled=True)
    assert _prepare(tmp_path) == 0
    assert (tmp_path / "out" / "manifest.json").is_file()
    assert (tmp_path / "root" / "dataset_coco.json").is_file()
    assert _requests(server) == 4
    assert _prepare(tmp_path) == 0
    assert _requests(server) == 4


def test_hashnets_lists_come_with_its_protocol(
    write: Write, server: Server, tmp_path: Path
) -> None:
    (tmp_path / "root").mkdir()
    write(runtime__download__enabled=True, dataset__protocol="hashnet")
    words = ["stages.download_karpathy_split", "--source", "out", "--out", "split.json"]
    with working_in(tmp_path):
        # Three photos that are not in the tiny COCO are no split of it: the stage says so.
        assert run_stage(words) == 2
    assert (tmp_path / "root" / "hashnet" / "database.txt").is_file()


def test_a_root_that_is_not_there_is_not_made(write: Write, server: Server, tmp_path: Path) -> None:
    write(runtime__download__enabled=True)
    assert _prepare(tmp_path) == 2
    assert not (tmp_path / "root").exists()
    assert _requests(server) == 0
