"""A repository of Git and DVC with five short stages and the real parameters."""

import contextlib
import io
import subprocess
from pathlib import Path

import pytest

from tests.commands import run_smhash
from tests.pipeline.conftest import working_in
from tests.pipeline.repositories import environment, init_dvc, run_in

ROOT = Path(__file__).resolve().parents[2]
IMAGES = 60

STAGES = """\
stages:
  check_params:
    cmd: mkdir -p outputs && touch outputs/checked
    deps: [params.yaml]
    outs:
      - outputs/checked
  evaluate_knn:
    cmd: python stages/make.py
    deps: [stages/make.py, outputs/checked]
    params: [dataset.mojicoco.train, hash.bits, knn.K, knn.tau, knn.distance, loss.imbalance,
      fusion.type, seed]
    outs:
      - outputs/evaluation
  evaluate_classifiers:
    cmd: python stages/classify.py
    deps: [stages/classify.py]
    params: [baselines.classifiers]
    outs:
      - outputs/classifiers
  summarise:
    cmd: python stages/summarise.py
    deps: [stages/summarise.py, outputs/evaluation]
    outs:
      - outputs/mojicoco/siglip2-tiny/details
      - metrics/summary.json:
          cache: false
  report:
    cmd: python stages/report.py
    deps: [stages/report.py, metrics/summary.json]
    outs:
      - reports/page.html
"""
# Sixty images and three classes. More neighbours make better scores; 50 fail. A dataset of
# another size has other test images. SLOW is a file that says that it has begun; it goes on where
# SLOW.go exists. EARLY has no categories.
MAKE = """\
import json, os, subprocess, sys, time
from pathlib import Path
import numpy as np
from ruamel.yaml import YAML

params = YAML(typ="safe").load(Path("params.yaml").read_text())
K, seed = params["knn"]["K"], params["seed"]
if K == 50:
    sys.exit("error: fifty are too many\\n  -> take fewer")
if gpus := os.environ.get("GPUS"):
    Path(gpus, str(os.getpid())).write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "all"))
if slow := os.environ.get("SLOW"):
    if "WORKER" in os.environ:
        subprocess.Popen([sys.executable, "-c", os.environ["WORKER"]], start_new_session=True)
    Path(slow).write_text(str(K))
    for _ in range(600):
        if not Path(f"{slow}.go").exists():
            time.sleep(0.1)
random = np.random.default_rng(0)
labels = (random.random((60, 3)) < 0.4).astype(np.uint8)
noise = np.random.default_rng((seed, K))
folder = Path("outputs/evaluation")
folder.mkdir(parents=True, exist_ok=True)
for number, name in enumerate(("knn", "mlp", "hybrid")):
    share = 0.01 * K * (1 + number)
    scores = share / (1 + share) * labels + noise.random(labels.shape) / (1 + share)
    np.save(folder / f"test-{name}.npy", scores.astype(np.float32))
np.save(folder / "test-retrieval.npy", noise.random(60))
first = 60 * (params["dataset"]["mojicoco"]["train"] != 4500)
np.save(folder / "test-image_ids.npy", np.arange(first, first + 60))
np.save(folder / "test-labels.npy", labels)
if "EARLY" not in os.environ:
    (folder / "categories.json").write_text(json.dumps(["cat", "dog", "bus"]))
tuned = {name: {"threshold": {"tuned": 0.5}} for name in ("knn", "mlp", "hybrid")}
tuned["scores"] = {"knn": K / 100, "mlp": 0.9, "retrieval": 1 / K, "val_knn": K / 100 - 0.01}
(folder / "figures.json").write_text(json.dumps(tuned))
"""
# Zero-shot without scores, as the figures of the methods with a code are.
CLASSIFY = """\
import json
from pathlib import Path
import numpy as np

labels = (np.random.default_rng(0).random((60, 3)) < 0.4).astype(np.uint8)
noise = np.random.default_rng(1).random(labels.shape)
folder = Path("outputs/classifiers")
folder.mkdir(parents=True)
np.save(folder / "test-mlp.npy", (0.7 * labels + 0.5 * noise).astype(np.float32))
tuned = {name: {"threshold": {"tuned": 0.6}} for name in ("mlp", "zero_shot")}
(folder / "figures.json").write_text(json.dumps(tuned))
"""
SUMMARISE = """\
import json
from pathlib import Path

scores = json.loads(Path("outputs/evaluation/figures.json").read_text())["scores"]
table = {"fused": {"knn": 0.25}, "mlp": {"mlp": 1.0}, "zero_shot": {"zero_shot": 0.5}}
for path, content in (("outputs/mojicoco/siglip2-tiny/details/baselines.json", table),
                      ("metrics/summary.json", scores)):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(json.dumps(content))
"""
REPORT = """\
from pathlib import Path

Path("reports").mkdir(exist_ok=True)
Path("reports/page.html").write_text("<p>")
"""


def make_repository(folder: Path, root: Path | None = None) -> None:
    """The pipeline, run once and committed; in a Git repository at ``root`` where it is above."""
    run(root or folder, "git", "init", "-q")
    (folder / "configs").mkdir()
    (folder / "stages").mkdir()
    for name in ("params.yaml", "configs/ablations.yaml"):
        (folder / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "dvc.yaml").write_text(STAGES, encoding="utf-8")
    (folder / "stages/make.py").write_text(MAKE, encoding="utf-8")
    (folder / "stages/classify.py").write_text(CLASSIFY, encoding="utf-8")
    (folder / "stages/summarise.py").write_text(SUMMARISE, encoding="utf-8")
    (folder / "stages/report.py").write_text(REPORT, encoding="utf-8")
    (folder / ".gitignore").write_text("/live/\n", encoding="utf-8")
    init_dvc(folder, subdir=root is not None)
    for command in ("dvc repro -q", "git add -A", "git commit -qm run"):
        run(folder, *command.split())


def run(folder: Path, *command: str, **variables: str) -> str:
    """Run a command there, which must succeed."""
    done = run_in(folder, *command, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def commit_line(folder: Path, file: str, line: str) -> None:
    """Add a line to a file there, and commit it."""
    path = folder / file
    path.write_text(f"{path.read_text(encoding='utf-8')}{line}\n", encoding="utf-8")
    run(folder, "git", "commit", "-qam", line)


def smhash(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of this project there, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with (
        working_in(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in environment().items():
            patch.setenv(name, value)
        code = run_smhash(*words)
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())
