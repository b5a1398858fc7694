"""A repository of Git and DVC whose only stage writes the results of test images at once."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IMAGES = 40

PARAMS = """\
dataset: {name: tiny, protocol: karpathy}
knn: {K: 20}
keep_items: true
seed: 1
"""
STAGES = """\
stages:
  evaluate_knn:
    cmd: python make.py
    deps: [make.py]
    params: [knn.K, keep_items, seed]
    outs: [outputs/evaluation]
"""
MAKE = """\
from pathlib import Path
import numpy as np
from ruamel.yaml import YAML
from siglip2_multimodal_hash.params import PREDICTORS
from siglip2_multimodal_hash.evaluation.items import Items
from siglip2_multimodal_hash.files import write_json

params = YAML(typ="safe").load(Path("params.yaml").read_text())
count = 40
labels = (np.random.default_rng(0).random((count, 3)) < 0.4).astype(np.uint8)
folder = Path("outputs/evaluation")
folder.mkdir(parents=True)
generator = np.random.default_rng((params["seed"], params["knn"]["K"]))
for name in PREDICTORS:
    scores = (0.3 * labels + 0.7 * generator.random(labels.shape)).astype(np.float32)
    np.save(folder / f"test-{name}.npy", scores)
np.save(folder / "test-retrieval.npy", generator.random(count))
write_json(folder / "figures.json", {n: {"threshold": {"tuned": 0.5}} for n in PREDICTORS})
if params["keep_items"]:
    Items(100 + np.arange(count), labels, ("cat", "dog", "bus")).write(folder)
"""
# Name of the experiment: what it changes.
EXPERIMENTS = {
    "k10": ("knn.K=10",),
    "seed2": ("seed=2",),
    "early": ("keep_items=false",),
}


def make_repository(folder: Path) -> None:
    """Run the pipeline, commit it as HEAD, and run the experiments."""
    for name, text in (("params.yaml", PARAMS), ("dvc.yaml", STAGES), ("make.py", MAKE)):
        (folder / name).write_text(text, encoding="utf-8")
    run(folder, "git", "init", "-q")
    run(folder, "dvc", "init", "-q")
    run(folder, "dvc", "config", "core.analytics", "false")
    run(folder, "dvc", "repro", "-q")
    commit(folder, "a run")
    for name, changes in EXPERIMENTS.items():
        overrides = [word for change in changes for word in ("-S", change)]
        run(folder, "dvc", "exp", "run", "-q", "-n", name, *overrides)
        run(folder, "git", "checkout", "-q", ".")
    run(folder, "dvc", "checkout", "-q")


def commit(folder: Path, message: str) -> None:
    """Commit everything."""
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", message)


def run(folder: Path, *command: str) -> None:
    """Run a command there with this project's sources; it must succeed."""
    who = {
        f"GIT_{role}_{field}": "test@example.invalid"
        for role in ("AUTHOR", "COMMITTER")
        for field in ("NAME", "EMAIL")
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | who | {"PYTHONPATH": str(ROOT / "src"), "PATH": path}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
