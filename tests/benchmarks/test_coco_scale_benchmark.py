"""The rehearsal at COCO's size: what it measures of a command, and all of it on few images."""

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.coco_scale import main
from benchmarks.stage_costs import disk_use, run_measured, together
from benchmarks.synthetic_coco import write_synthetic_coco
from benchmarks.synthetic_features import draw_embeddings
from siglip2_multimodal_hash.datasets.index_builder import index_source
from siglip2_multimodal_hash.datasets.manifest import describe_source
from siglip2_multimodal_hash.errors import InputError

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
STAGES = """
import mmap, subprocess, sys, time
print("before", flush=True)
time.sleep(0.5)
print("Running stage 'holds':", flush=True)
child = [sys.executable, "-c", "import time; held = bytearray(10**8); time.sleep(1)"]
subprocess.run(child, check=True)
print("Running stage 'works':", flush=True)
code = "import time\\nwhile time.process_time() < 1: pass"
subprocess.run([sys.executable, "-c", code], check=True)
print("Running stage 'maps':", flush=True)
with open("file", "wb") as stream:
    stream.write(bytes(10**8))
with open("file", "rb") as stream:
    found = mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ)
    sum(found[::4096])
    time.sleep(1)
"""


@LINUX
def test_each_stage_has_what_its_processes_took(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STAGES]
    costs = run_measured(command, tmp_path, os.environ, "start")
    assert list(costs) == ["start", "holds", "works", "maps"]
    assert costs["start"].seconds > 0.4
    assert costs["holds"].seconds > 1
    # An interpreter needs some 10 MB.
    assert 1e8 < costs["holds"].anonymous < 1.5e8
    assert costs["works"].anonymous < 5e7
    assert costs["works"].cpu_seconds >= 1
    assert max(costs[name].cpu_seconds for name in ("start", "holds")) < 0.5
    assert costs["maps"].file_backed > 1e8 > costs["maps"].anonymous
    assert costs["maps"].disk >= 1e8 > costs["works"].disk
    whole = together(costs.values())
    assert whole.anonymous == max(one.anonymous for one in costs.values())
    assert whole.cpu_seconds == pytest.approx(sum(one.cpu_seconds for one in costs.values()))


@LINUX
def test_a_command_that_fails_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="exit code 3"):
        run_measured(
            [sys.executable, "-c", "print('no'); raise SystemExit(3)"], tmp_path, os.environ, "one"
        )
    assert capsys.readouterr().err == "no\n"


def test_files_with_two_names_take_their_place_once(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(bytes(10**6))
    before = disk_use(tmp_path)
    (tmp_path / "two").hardlink_to(tmp_path / "one")
    assert disk_use(tmp_path) == before >= 10**6


def test_a_part_of_coco_has_its_share_of_each_split(tmp_path: Path) -> None:
    root = tmp_path / "coco"
    write_synthetic_coco(root, None, images=1234, image=b"photo")
    describe_source(root)
    index, _ = index_source(root, root, root / "karpathy_split.json", "keep")
    assert index.frame["split"].value_counts().to_dict() == {
        **{"train": 829, "restval": 306, "val": 51, "test": 51}
    }
    assert set(index.frame["bytes"]) == {5}
    labels = index.labels().astype(float)
    assert 2 < labels.sum(axis=1).mean() < 4
    # Classes of a scene meet.
    together_ = labels.T @ labels
    apart = np.outer(labels.sum(axis=0), labels.sum(axis=0)) / len(labels)
    assert together_[4, 16] > 2 * apart[4, 16]


def test_embeddings_tell_the_labels(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    labels = (generator.random((2000, 80)) < 2.9 / 80).astype(np.uint8)
    captions = generator.integers(1, 7, len(labels))
    draw_embeddings(tmp_path, labels, captions, 96, generator)
    image, caption, prompt = (
        np.load(tmp_path / f"{name}.npy") for name in ("image", "caption", "prompt")
    )
    assert (image.shape, caption.shape) == ((2000, 96), (captions.sum(), 96))
    norms = np.linalg.norm(image, axis=1)
    assert norms.std() > 0.05 * norms.mean()
    classes = prompt - prompt.mean(axis=0)
    for rows, of_rows in ((image, labels), (caption, np.repeat(labels, captions, axis=0))):
        scores = (rows - rows.mean(axis=0)) @ classes.T
        assert scores[of_rows == 1].mean() > scores[of_rows == 0].mean() + scores.std()


def test_a_folder_with_files_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").touch()
    monkeypatch.setattr(sys, "argv", ["coco_scale.py", "--keep", str(tmp_path)])
    with pytest.raises(InputError, match="a folder is there"):
        main()
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@LINUX
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("git") is None, reason="needs Git")
def test_all_stages_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--images", "300", "--epochs", "3", "--experiments", "--keep", str(tmp_path / "kept")]
    monkeypatch.setattr(sys, "argv", ["coco_scale.py", *words])
    main()
    printed = capsys.readouterr().out
    result = json.loads(printed.splitlines()[-1])
    assert 300 <= result["images"] <= 304
    assert result["captions"] == 5 * result["images"]
    stages = result["stages"]
    assert next(iter(stages)) == "dvc"
    assert {"build_dataset_index", "import-features", "embed", "evaluate_untrained"} < set(stages)
    assert list(stages)[-1] == "report"
    for name, cost in stages.items():
        assert min(cost["seconds"], cost["cpu_seconds"], cost["anonymous"]) > 0, name
        assert (cost["outputs"] > 0) == (name != "dvc"), name
        assert name in printed
    vectors = 4 * 768 * (result["images"] + result["captions"])
    assert vectors < stages["embed"]["outputs"] < 1.2 * vectors
    assert set(result["experiments"]) == {"vote", "head"}
    for one in result["experiments"].values():
        assert one["disk_most"] > 0
    assert (tmp_path / "kept" / "project" / "reports").is_dir()
