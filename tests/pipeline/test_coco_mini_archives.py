"""239 real COCO photos as the official archives: fetched by the stage and read in place."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.datasets.acquisition.web import Answer, Server, serving
from tests.pipeline.conftest import ROOT, run_stage, small_params, working_in

COCO_MINI = ROOT.parent / "shared" / "coco-mini"
pytestmark = pytest.mark.skipif(not COCO_MINI.is_dir(), reason="the folder coco-mini is not here")

SOURCE, SPLIT, INDEX = Path("source"), Path("karpathy_split.json"), Path("index.parquet")
EMBEDDINGS = Path("embeddings")


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


def _pack(archive: Path, members: dict[str, Path]) -> None:
    """Photos are stored, texts deflated, as in the official archives."""
    with zipfile.ZipFile(archive, "w") as opened:
        for name, path in members.items():
            text = path.suffix == ".json"
            opened.write(path, name, zipfile.ZIP_DEFLATED if text else zipfile.ZIP_STORED)


def _official_archives(folder: Path) -> dict[str, Path]:
    """The four archives of coco-mini, by their parameters."""
    archives = {
        "train_images": "train2014.zip",
        "val_images": "val2014.zip",
        "annotations": "annotations_trainval2014.zip",
        "karpathy_split": "caption_datasets.zip",
    }
    made = {key: folder / name for key, name in archives.items()}
    for key in ("train_images", "val_images"):
        images = COCO_MINI / "images" / made[key].stem
        _pack(made[key], {f"{images.name}/{one.name}": one for one in sorted(images.iterdir())})
    texts = sorted((COCO_MINI / "annotations").iterdir())
    _pack(made["annotations"], {f"annotations/{one.name}": one for one in texts})
    _pack(made["karpathy_split"], {"dataset_coco.json": COCO_MINI / "karpathy_split.json"})
    return made


def _embed(folder: Path, root: Path, **more: Any) -> Path:
    """Run the stages up to `embed` on a root, in a folder of their own."""
    folder.mkdir()
    params = small_params(dataset__name="coco2014", runtime__coco_root=str(root), **more)
    (folder / "params.yaml").write_text(params, encoding="utf-8")
    (folder / "models").symlink_to(ROOT / "models")
    stages: dict[str, dict[str, Path]] = {
        "prepare_dataset": {"out": SOURCE},
        "download_karpathy_split": {"source": SOURCE, "out": SPLIT},
        "build_dataset_index": {
            "source": SOURCE,
            "split": SPLIT,
            "index": INDEX,
            "statistics": Path("statistics.json"),
        },
        "embed": {"source": SOURCE, "index": INDEX, "out": EMBEDDINGS},
    }
    with working_in(folder):
        for name, paths in stages.items():
            options = [word for key, path in paths.items() for word in (f"--{key}", str(path))]
            assert run_stage([f"stages.{name}", *options]) == 0, name
    return folder


def _files(folder: Path) -> dict[str, bytes]:
    found = (INDEX, SPLIT, Path("statistics.json"), *(folder / EMBEDDINGS).rglob("*"))
    paths = [folder / path for path in found]
    return {str(one.relative_to(folder)): one.read_bytes() for one in paths if one.is_file()}


def test_fetched_archives_give_the_bytes_of_the_folder(server: Server, tmp_path: Path) -> None:
    (tmp_path / "served").mkdir()
    archives = _official_archives(tmp_path / "served")
    for path in archives.values():
        server.add(path.name, path.read_bytes())
    # The connection breaks in the middle of the larger archive.
    val = server.files["/val2014.zip"]
    val.answers = [Answer(cut_after=len(val.data) // 2)]
    addresses = {
        f"runtime__download__{key}": server.url(path.name) for key, path in archives.items()
    }
    root = tmp_path / "root"
    root.mkdir()
    from_folder = _files(_embed(tmp_path / "folder", COCO_MINI))
    from_archives = _files(
        _embed(tmp_path / "archives", root, runtime__download__enabled=True, **addresses)
    )
    assert val.sent == len(val.data)
    assert (root / "images" / "val2014.zip").read_bytes() == val.data
    assert not (root / "images" / "val2014").exists()
    assert sorted(from_folder) == sorted(from_archives)
    assert any(name.endswith(".npy") for name in from_folder)
    for name, data in from_folder.items():
        assert from_archives[name] == data, name


def test_a_mirror_on_disk_gives_them_too(tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    archives = _official_archives(tmp_path / "mirror")
    root = tmp_path / "root"
    root.mkdir()
    addresses = {f"runtime__download__{key}": str(path) for key, path in archives.items()}
    from_mirror = _files(
        _embed(tmp_path / "archives", root, runtime__download__enabled=True, **addresses)
    )
    from_folder = _files(_embed(tmp_path / "folder", COCO_MINI))
    assert (root / "images" / "train2014.zip").is_symlink()
    assert from_mirror == from_folder
