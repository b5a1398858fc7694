"""The whole pipeline at COCO's true size, as a rehearsal: what each stage takes.

    python benchmarks/coco_scale.py --annotations FOLDER [--images N] [--epochs N] [--experiments]

makes COCO 2014 (123,287 images, Karpathy's split; labels and captions are real where FOLDER has
them, each image is one small JPEG) and features of its images and captions that follow the labels
(D = 768), in a temporary folder. There a clone of the project, as it is committed, imports the
features and runs every stage by ``dvc repro``. The table has, of each stage, seconds, CPU seconds,
the most memory of all its processes together (anonymous, which a machine must have, apart from
mapped files, which it may drop), and its outputs as dvc.lock has them. DVC's own work counts: what
it hashes and copies after a stage is that stage's.

``--experiments`` adds two of ``dvc exp run --temp``, whose workspace is a copy, one with another
vote and one with another head: their time, and by how much the files on the disk grew meanwhile
and for good. ``--keep FOLDER`` takes a folder instead of the temporary one, and leaves it.

Needs Linux, 15 GB of disk at full size and some hours. The last line is JSON, sizes in bytes.
"""

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Run by its path, a script sees its own folder only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

# The project first: it pins the CPU kernels before a numerical library is loaded.
from benchmarks.stage_costs import Cost, disk_use, run_measured, together
from benchmarks.synthetic_coco import write_synthetic_coco
from benchmarks.synthetic_features import draw_embeddings
from siglip2_multimodal_hash.datasets.index import DatasetIndex, read_index
from siglip2_multimodal_hash.document import Table, as_text
from siglip2_multimodal_hash.errors import InputError, run_guarded
from siglip2_multimodal_hash.experiments.repository import Repository
from siglip2_multimodal_hash.files import require_free, size_text
from siglip2_multimodal_hash.reporting.tables import HEADLINE_FILE

# isort: split
import numpy as np
import yaml
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 768
DATA = Path("data/coco2014")
EXPERIMENTS = {"vote": "knn.K=50", "head": "hash.bits=32"}
_DVC, _IMPORT = "dvc", "import-features"
_AUTHOR = {
    f"GIT_{role}_{field}": value
    for role in ("AUTHOR", "COMMITTER")
    for field, value in (("NAME", "benchmark"), ("EMAIL", "benchmark@example.invalid"))
}


class Rehearsal:
    """A clone of the project in a folder, and what has run there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.project = folder / "project"
        self.costs: dict[str, Cost] = {}
        tools = str(Path(sys.executable).parent)
        self._environment = {
            **os.environ,
            **_AUTHOR,
            "PATH": os.pathsep.join([tools, os.environ["PATH"]]),
            "PYTHONPATH": str(self.project / "src"),
            # Of this clone; else DVC leaves it on the machine.
            "DVC_SITE_CACHE_DIR": str(folder / "site_cache"),
        }

    def set_up(self, annotations: Path | None, images: int | None, settings: list[str]) -> None:
        """Clone the project, make the dataset, and set the parameters."""
        self._quietly("git", "clone", "-q", str(ROOT), str(self.project), folder=self._folder)
        # So that no stage is taken for done.
        (self.project / "dvc.lock").unlink(missing_ok=True)
        _say("making the dataset")
        photo = io.BytesIO()
        Image.new("RGB", (64, 43), "gray").save(photo, "JPEG")
        root = self._folder / "coco"
        write_synthetic_coco(root, annotations, images=images, image=photo.getvalue())
        set_values = [word for one in settings for word in ("-S", one)]
        self._quietly(*_smhash("use", "coco2014", "--coco-root", str(root)), *set_values)

    def run(self) -> DatasetIndex:
        """Run every stage, on features of the index that the first ones build."""
        self._measure("dvc", "repro", "build_dataset_index")
        index = read_index(self.project / DATA / "index.parquet")
        with tempfile.TemporaryDirectory(dir=self._folder) as features:
            _say("drawing the features")
            arguments = _draw_features(Path(features), index)
            command = _smhash("import-features", "--name", "coco-scale", *arguments)
            self._measure(*command, first=_IMPORT)
        self._measure("dvc", "repro")
        return index

    def outputs(self) -> dict[str, int]:
        """Bytes that each stage has written."""
        lock = yaml.safe_load((self.project / "dvc.lock").read_text(encoding="utf-8"))
        sizes = {
            name: sum(out["size"] for out in stage["outs"])
            for name, stage in lock["stages"].items()
        }
        return {_IMPORT: disk_use(self.project / DATA / "features"), **sizes}

    def experiment(self, setting: str) -> dict[str, Any]:
        """Run one experiment in a copy of the workspace."""
        before = disk_use(self.project)
        command = ("dvc", "exp", "run", "--temp", "-S", setting)
        costs = run_measured(command, self.project, self._environment, _DVC)
        cost = together(costs.values())
        return {
            "setting": setting,
            "seconds": round(cost.seconds, 1),
            "cpu_seconds": round(cost.cpu_seconds, 1),
            "disk_most": cost.disk - before,
            "disk_left": disk_use(self.project) - before,
        }

    def commit(self) -> None:
        """Record the run, as experiments need it."""
        self._quietly("git", "add", "-A")
        self._quietly("git", "commit", "-q", "-m", "Rehearsal")

    def _quietly(self, *command: str, folder: Path | None = None) -> None:
        where = folder or self.project
        done = subprocess.run(
            command, cwd=where, env=self._environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise InputError(f"{' '.join(command)}: {done.stderr.strip()}")

    def _measure(self, *command: str, first: str = _DVC) -> None:
        for name, cost in run_measured(command, self.project, self._environment, first).items():
            self.costs.setdefault(name, Cost()).add(cost)


def _smhash(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "siglip2_multimodal_hash.cli", *words)


def _draw_features(folder: Path, index: DatasetIndex) -> list[str]:
    """Write features of the images and captions of an index; arguments of the import."""
    image_ids = index.frame["image_id"].to_numpy()
    counts = np.diff(index.caption_offsets())
    draw_embeddings(folder, index.labels(), counts, WIDTH, np.random.default_rng(0))
    ids = {"image": image_ids, "caption": np.repeat(image_ids, counts)}
    arguments = ["--prompts", str(folder / "prompt.npy")]
    for name, of_rows in ids.items():
        np.save(folder / f"{name}_ids.npy", of_rows)
        arguments += [f"--{name}", str(folder / f"{name}.npy")]
        arguments += [f"--{name}-ids", str(folder / f"{name}_ids.npy")]
    return arguments


def rehearse(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Run all of it in a folder, print the tables, and return the figures."""
    repository = Repository(ROOT)
    if changed := repository.changed_files():
        _say(f"not of the rehearsal, because not committed: {', '.join(changed)}")
    epochs = [] if arguments.epochs is None else [f"training.num_epochs={arguments.epochs}"]
    rehearsal = Rehearsal(folder)
    rehearsal.set_up(arguments.annotations, arguments.images, epochs)
    index = rehearsal.run()
    outputs = rehearsal.outputs()
    print(as_text([_stages_table(rehearsal.costs, outputs)]), flush=True)
    whole = together(rehearsal.costs.values())
    result = {
        "commit": repository.head,
        "images": len(index.frame),
        "captions": len(index.captions()),
        "width": WIDTH,
        "epochs": arguments.epochs,
        "processors": len(os.sched_getaffinity(0)),
        "seconds": round(whole.seconds, 1),
        "cpu_seconds": round(whole.cpu_seconds, 1),
        "anonymous": whole.anonymous,
        "disk": disk_use(rehearsal.project),
        "stages": {
            name: {
                "seconds": round(cost.seconds, 1),
                "cpu_seconds": round(cost.cpu_seconds, 1),
                "anonymous": cost.anonymous,
                "file_backed": cost.file_backed,
                "outputs": outputs.get(name, 0),
            }
            for name, cost in rehearsal.costs.items()
        },
        "figures": json.loads((rehearsal.project / HEADLINE_FILE).read_text(encoding="utf-8")),
    }
    if arguments.experiments:
        rehearsal.commit()
        found = {name: rehearsal.experiment(one) for name, one in EXPERIMENTS.items()}
        print(as_text([_experiments_table(found)]), flush=True)
        result["experiments"] = found
    return result


def _stages_table(costs: dict[str, Cost], outputs: dict[str, int]) -> Table:
    rows = [
        [
            name,
            f"{cost.seconds:.1f}",
            f"{cost.cpu_seconds:.1f}",
            *map(size_text, (cost.anonymous, cost.file_backed)),
            size_text(outputs[name]) if name in outputs else "",
        ]
        for name, cost in [*costs.items(), ("all", together(costs.values()))]
    ]
    return Table(["stage", "s", "CPU s", "anonymous", "mapped files", "outputs"], rows)


def _experiments_table(found: dict[str, dict[str, Any]]) -> Table:
    rows = [
        [
            f"{name}: {one['setting']}",
            f"{one['seconds']:.1f}",
            f"{one['cpu_seconds']:.1f}",
            *(size_text(one[key]) for key in ("disk_most", "disk_left")),
        ]
        for name, one in found.items()
    ]
    return Table(["experiment", "s", "CPU s", "disk meanwhile", "disk for good"], rows)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@contextlib.contextmanager
def _place(keep: Path | None) -> Iterator[Path]:
    """A folder to work in: a temporary one, or one that stays and is new or empty."""
    if keep is None:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
    else:
        require_free(keep, ours=lambda _: False)
        keep.mkdir(parents=True, exist_ok=True)
        yield keep.resolve()


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--annotations", type=Path, metavar="FOLDER", help="real labels, captions")
    parser.add_argument("--images", type=int, metavar="N", help="about so many; default: 123,287")
    parser.add_argument(
        "--epochs", type=int, metavar="N", help="at least 3; default: params.yaml's"
    )
    parser.add_argument("--experiments", action="store_true", help="a vote and a head more")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave everything there")
    arguments = parser.parse_args()
    with _place(arguments.keep) as folder:
        result = rehearse(folder, arguments)
    print(json.dumps(result))


if __name__ == "__main__":
    run_guarded(main)
