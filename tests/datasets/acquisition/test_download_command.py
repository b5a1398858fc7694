"""`smhash download coco2014` and the stages that may fetch, as a user meets them."""

import io
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from siglip2_multimodal_hash import cli
from siglip2_multimodal_hash.presets import override_text
from tests.datasets.acquisition.web import Answer, Server
from tests.pipeline.conftest import run_stage

ROOT = Path(__file__).resolve().parents[3]
Write = Callable[..., Path]


@pytest.fixture
def project(tiny: Any, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes params.yaml whose addresses lead to a server with a tiny COCO; gives a new root."""
    source = tiny.write(tmp_path / "source", "zip")
    for name in ("train2014.zip", "val2014.zip"):
        server.add(name, (source / "images" / name).read_bytes())
    for name, folder in (("annotations.zip", "annotations"), ("split.zip", "")):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            if folder:
                for path in (source / folder).iterdir():
                    archive.write(path, f"{folder}/{path.name}")
            else:
                archive.write(source / "karpathy_split.json", "dataset_coco.json")
        server.add(name, stream.getvalue())

    def write(**more: Any) -> Path:
        overrides = {
            "runtime.download.train_images": server.url("train2014.zip"),
            "runtime.download.val_images": server.url("val2014.zip"),
            "runtime.download.annotations": server.url("annotations.zip"),
            "runtime.download.karpathy_split": server.url("split.zip"),
            "runtime.download.attempts": 1,
            "runtime.logging.progress": False,
        } | {key.replace("__", "."): value for key, value in more.items()}
        text = (ROOT / "params.yaml").read_text(encoding="utf-8")
        (tmp_path / "params.yaml").write_text(override_text(text, overrides, source="params.yaml"))
        return tmp_path / "root"

    monkeypatch.chdir(tmp_path)
    return write


def _smhash(*words: str) -> int:
    before = sys.argv
    sys.argv = ["smhash", *words]
    try:
        with pytest.raises(SystemExit) as caught:
            cli.main()
    finally:
        sys.argv = before
    return int(str(caught.value.code or 0))


def _prepare(out: Path) -> int:
    return run_stage(["stages.prepare_dataset", "--out", str(out)])


def test_the_command_says_what_it_will_do_and_does_it(
    project: Write, server: Server, capsys: Any
) -> None:
    root = project()
    assert _smhash("download", "coco2014", "--root", str(root), "--dry-run") == 0
    assert "4 piece(s) missing" in capsys.readouterr().out
    assert not root.exists()
    assert _smhash("download", "coco2014", "--root", str(root)) == 0
    said = capsys.readouterr().out
    assert f"{root}: COCO 2014 is complete" in said
    assert f"smhash use coco2014 --coco-root {root}" in said
    before = [len(file.requests) for file in server.files.values()]
    project(runtime__coco_root=str(root))
    assert _smhash("download", "coco2014") == 0
    assert "smhash use" not in capsys.readouterr().out
    assert [len(file.requests) for file in server.files.values()] == before


def test_the_command_needs_a_folder_and_a_server_that_has_the_files(
    project: Write, server: Server, capsys: Any
) -> None:
    root = project()
    assert _smhash("download", "coco2014") == 2
    assert "--root FOLDER" in capsys.readouterr().err
    server.files["/split.zip"].answers = [Answer(status=404)]
    assert _smhash("download", "coco2014", "--root", str(root)) == 2
    said = capsys.readouterr().err
    assert said.count("error:") == 1
    assert "split.zip: HTTP 404" in said
    assert "Traceback" not in said


def test_the_stage_fetches_only_where_it_may(project: Write, server: Server, capsys: Any) -> None:
    root = project(dataset__name="coco2014", runtime__coco_root=str(Path.cwd() / "root"))
    root.mkdir()
    out = root.parent / "out"
    assert _prepare(out) == 2
    assert "`smhash download coco2014` fetches what is missing" in capsys.readouterr().err
    assert not any(file.requests for file in server.files.values())
    project(dataset__name="coco2014", runtime__coco_root=str(root), runtime__download__enabled=True)
    assert _prepare(out) == 0
    assert (out / "manifest.json").is_file()
    assert (root / "dataset_coco.json").is_file()


def test_the_split_stage_fetches_the_split_alone(project: Write, server: Server) -> None:
    root = Path.cwd() / "root"
    root.mkdir()
    project(dataset__name="coco2014", runtime__coco_root=str(root), runtime__download__enabled=True)
    out = root.parent / "karpathy_split.json"
    words = ["stages.download_karpathy_split", "--source", str(root), "--out", str(out)]
    assert run_stage(words) == 0
    assert out.is_file()
    assert not server.files["/train2014.zip"].requests


def test_a_root_that_is_not_there_is_not_made_by_a_stage(project: Write, server: Server) -> None:
    """It may be a disk that is not mounted, or a slip of the pen: 20 GB would go elsewhere."""
    root = Path.cwd() / "root"
    project(dataset__name="coco2014", runtime__coco_root=str(root), runtime__download__enabled=True)
    assert _prepare(root.parent / "out") == 2
    assert not root.exists()
    assert not any(file.requests for file in server.files.values())
