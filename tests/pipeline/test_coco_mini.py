"""The stages on 239 real COCO photos, and their refusals of damaged copies."""

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from siglip2_multimodal_hash.datasets.index import read_index
from siglip2_multimodal_hash.features.store import load_embeddings
from tests.pipeline.conftest import ROOT, run_stage, small_params, working_in

COCO_MINI = ROOT.parent / "shared" / "coco-mini"
pytestmark = pytest.mark.skipif(not COCO_MINI.is_dir(), reason="the folder coco-mini is not here")

DATA = Path("data/coco2014")
OUTPUTS = Path("outputs/coco2014/siglip2-tiny")


def _prepare(folder: Path, root: Path, **more: Any) -> None:
    params = small_params(
        dataset__kind="coco2014", dataset__name="coco2014", runtime__coco_root=str(root), **more
    )
    (folder / "params.yaml").write_text(params, encoding="utf-8")
    (folder / "models").symlink_to(ROOT / "models")


INDEXED = ("items.parquet", "index.parquet", "statistics.json", "objects.parquet")


def _stage(name: str, **paths: Path) -> int:
    words = [f"stages.{name}"]
    for option, path in paths.items():
        words += [f"--{option}", str(path)]
    return run_stage(words)


def _to_index() -> list[int]:
    """Run the first three stages until one fails; their exit codes."""
    source, split = DATA / "source", DATA / "karpathy_split.json"
    calls: list[Callable[[], int]] = [
        lambda: _stage("prepare_dataset", out=source),
        lambda: _stage("download_karpathy_split", source=source, out=split),
        lambda: _stage(
            "build_dataset_index",
            source=source,
            split=split,
            items=DATA / "items.parquet",
            index=DATA / "index.parquet",
            statistics=DATA / "statistics.json",
            objects=DATA / "objects.parquet",
        ),
    ]
    codes = []
    for call in calls:
        codes.append(call())
        if codes[-1]:
            break
    return codes


def _embed(out: Path) -> int:
    """Embed by the towers as they are; the exit code."""
    source, index, towers = DATA / "source", DATA / "index.parquet", OUTPUTS / "towers"
    images, items = source / "images.parquet", DATA / "items.parquet"
    return _stage("tune_towers", source=source, index=index, out=towers) or _stage(
        "embed", images=images, items=items, towers=towers, out=out
    )


def _to_figures(folder: Path) -> Any:
    """Run the stages up to the head's figures."""
    index, embeddings = DATA / "index.parquet", OUTPUTS / "embeddings"
    head, codes, faiss = OUTPUTS / "head", OUTPUTS / "codes", OUTPUTS / "database.faiss"
    with working_in(folder):
        assert _to_index() == [0, 0, 0]
        assert not _embed(embeddings)
        live = Path("live")
        vote = folder / "vote.json"
        vote.write_text("null", encoding="utf-8")
        inputs = {"index": index, "embeddings": embeddings, "vote": vote}
        assert not _stage("train", **inputs, out=head, live=live)
        assert not _stage("extract_hashes", embeddings=embeddings, head=head, out=codes)
        assert not _stage("build_faiss_index", index=index, codes=codes, out=faiss)
        evaluation = OUTPUTS / "evaluation"
        assert not _stage("evaluate_knn", index=index, codes=codes, faiss=faiss, out=evaluation)
        return json.loads((evaluation / "figures.json").read_text())


def test_real_photos_go_through_to_metrics(tmp_path: Path) -> None:
    _prepare(tmp_path, COCO_MINI)
    figures = _to_figures(tmp_path)
    assert figures["knn"]["test"]["images"] == 40
    assert figures["knn"]["val"]["images"] == 39
    assert figures["knn"]["test"]["mAP"] > 0


def _digests(folder: Path) -> dict[str, str]:
    """Of all that was made of the images, but not of what describes where they lay."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for part in (*map(DATA.joinpath, INDEXED), OUTPUTS)
        for path in sorted([folder / part, *(folder / part).rglob("*")])
        if path.is_file()
    }


def test_official_archives_and_unpacked_folders_give_the_same_bytes(tmp_path: Path) -> None:
    zipped = tmp_path / "zipped"
    (zipped / "coco" / "images").mkdir(parents=True)
    for images in sorted((COCO_MINI / "images").iterdir()):
        archive = zipped / "coco" / "images" / f"{images.name}.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as opened:
            for image in sorted(images.iterdir(), reverse=True):
                opened.write(image, f"{images.name}/{image.name}")
    for name in ("annotations", "karpathy_split.json"):
        (zipped / "coco" / name).symlink_to(COCO_MINI / name)
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    _prepare(unpacked, COCO_MINI)
    _prepare(zipped, zipped / "coco")
    assert _to_figures(unpacked) == _to_figures(zipped)
    digests = _digests(unpacked)
    assert f"{OUTPUTS}/embeddings/image.npy" in digests
    assert digests == _digests(zipped)


HASHNET = ROOT.parent / "shared" / "coco-annotations" / "hashnet"


@pytest.mark.skipif(not HASHNET.is_dir(), reason="the folder coco-annotations is not here")
def test_a_database_that_is_more_than_what_trains(tmp_path: Path) -> None:
    root = tmp_path / "coco"
    root.mkdir()
    for name in ("images", "annotations"):
        (root / name).symlink_to(COCO_MINI / name)
    (root / "hashnet").symlink_to(HASHNET)
    _prepare(tmp_path, root, dataset__protocol="hashnet", training__batch_size=8)
    figures = _to_figures(tmp_path)
    content = json.loads((tmp_path / DATA / "statistics.json").read_text())
    train, database, val, test = (
        content["splits"][name]["images"] for name in ("train", "database", "val", "test")
    )
    assert 0 < train < database - val
    assert database + test == content["images"]["total"]
    assert (figures["knn"]["val"]["images"], figures["knn"]["test"]["images"]) == (val, test)
    meta = json.loads((tmp_path / OUTPUTS / "database.faiss.json").read_text())
    assert meta["count"] == database


def _damaged(folder: Path) -> Path:
    root = folder / "coco"
    shutil.copytree(COCO_MINI, root)
    for path in [root, *root.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return root


def _change_json(path: Path, change: Callable[[Any], None]) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def _outside(content: Any) -> None:
    content["images"][0]["file_name"] = "../../etc/passwd"


def _unknown_image(content: Any) -> None:
    stray = {**content["images"][0], "cocoid": 999999}
    content["images"].append({**stray, "filename": "COCO_val2014_000000999999.jpg"})


def _missing(root: Path) -> str:
    victim = sorted((root / "images/val2014").iterdir())[3]
    victim.unlink()
    return victim.name


def _escaping(root: Path) -> str:
    _change_json(root / "annotations/instances_val2014.json", _outside)
    return "../../etc/passwd"


def _stray_split(root: Path) -> str:
    _change_json(root / "karpathy_split.json", _unknown_image)
    return "999999"


def _half_json(root: Path) -> str:
    path = root / "annotations/captions_val2014.json"
    path.write_bytes(path.read_bytes()[:5000])
    return path.name


@pytest.mark.parametrize("damage", [_missing, _escaping, _stray_split, _half_json])
def test_damage_ends_in_one_message_and_no_index(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], str]
) -> None:
    root = _damaged(tmp_path)
    named = damage(root)
    _prepare(tmp_path, root)
    with working_in(tmp_path):
        codes = _to_index()
        assert codes[-1] == 2
        assert not (DATA / "index.parquet").exists()
    message = capsys.readouterr().err
    assert named in message
    assert "Traceback" not in message
    assert message.count("error:") == 1
    assert "->" in message


def test_truncated_and_empty_photos_are_all_named_and_nothing_is_embedded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = _damaged(tmp_path)
    victims = sorted((root / "images/val2014").iterdir())[:2]
    for victim in victims:
        victim.write_bytes(victim.read_bytes()[: victim.stat().st_size // 2])
    victims.append(sorted((root / "images/train2014").iterdir())[0])
    victims[-1].write_bytes(b"")
    _prepare(tmp_path, root)
    with working_in(tmp_path):
        assert _to_index() == [0, 0, 0]
        out = OUTPUTS / "embeddings"
        assert _embed(out) == 2
        assert not out.exists()
        assert not list(OUTPUTS.glob(".*"))
    message = capsys.readouterr().err
    for victim in victims:
        assert victim.name in message
    assert "Traceback" not in message


def test_with_drop_truncated_and_empty_photos_are_left_out_of_everything(tmp_path: Path) -> None:
    root = _damaged(tmp_path)
    victims = sorted((root / "images/val2014").iterdir())[:2]
    victims[0].write_bytes(victims[0].read_bytes()[:1000])
    victims[1].write_bytes(b"")
    _prepare(tmp_path, root, dataset__on_corrupt="drop")
    figures = _to_figures(tmp_path)
    index = read_index(tmp_path / DATA / "index.parquet")
    assert len(index.frame) == 237
    for split in ("val", "test"):
        assert figures["knn"][split]["images"] == len(index.rows(split))
    assert not set(index.frame["file_name"]) & {f"val2014/{victim.name}" for victim in victims}
    embeddings = load_embeddings(tmp_path / OUTPUTS / "embeddings")
    assert len(embeddings.image) == 237
    assert len(embeddings.caption) == len(index.captions())
