"""Time and memory of the index of all of COCO 2014, against a plain loop.

    python benchmarks/dataset_index.py [--annotations FOLDER]

writes 123,287 images with five captions each into a temporary folder (650 MB), real labels and
captions where FOLDER has them, and builds the index twice, each time in a process of its own: by
the project (which also compares the source with its manifest, and checks every record), and by
pycocotools and Python dicts. Both tables must be equal. The last line is JSON: ``seconds`` and
``peak_gb`` of the project, ``loop_seconds``, ``loop_peak_gb`` and ``speedup_vs_loop``.
Goal: 60 s and 3 GB on 2 cores.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

# Run by its path, a script sees its own folder only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.peak_memory import peak_gb
from benchmarks.synthetic_coco import write_synthetic_coco
from siglip2_multimodal_hash.datasets.index import write_index
from siglip2_multimodal_hash.datasets.index_builder import index_source
from siglip2_multimodal_hash.datasets.manifest import describe_source
from siglip2_multimodal_hash.errors import InputError, run_guarded
from siglip2_multimodal_hash.files import replacing

MOST_SECONDS, MOST_GB = 60, 3
SPLIT_FILE = "karpathy_split.json"
COLUMNS = ["image_id", "file_name", "split", "width", "height", "bytes", "captions", "labels"]


def by_project(root: Path, out: Path) -> None:
    """The work of the stage `build_dataset_index`, but for its statistics."""
    index, _ = index_source(root, root, root / SPLIT_FILE, "keep")
    write_index(out, index)


def by_loop(root: Path, out: Path) -> None:
    """The same table by pycocotools and dicts, as one would write it at first."""
    import zipfile

    from pycocotools.coco import COCO

    images = json.loads((root / SPLIT_FILE).read_text())["images"]
    split = {image["cocoid"]: image["split"] for image in images}
    rows = []
    for folder in ("train2014", "val2014"):
        instances = COCO(str(root / "annotations" / f"instances_{folder}.json"))
        captions = COCO(str(root / "annotations" / f"captions_{folder}.json"))
        archive = zipfile.ZipFile(root / "images" / f"{folder}.zip")
        category_ids = sorted(instances.getCatIds())
        for image_id in instances.getImgIds():
            image = instances.loadImgs(image_id)[0]
            present = {one["category_id"] for one in instances.imgToAnns[image_id]}
            texts = sorted(captions.imgToAnns[image_id], key=lambda one: one["id"])
            name = f"{folder}/{image['file_name']}"
            rows.append(
                {
                    "image_id": image_id,
                    "file_name": name,
                    "split": split[image_id],
                    "width": image["width"],
                    "height": image["height"],
                    "bytes": archive.getinfo(name).file_size,
                    "captions": [one["caption"] for one in texts],
                    "labels": [int(one in present) for one in category_ids],
                }
            )
    rows.sort(key=lambda row: row["image_id"])
    with replacing(out) as temporary:
        pd.DataFrame(rows).to_parquet(temporary)


WAYS: dict[str, Callable[[Path, Path], None]] = {"project": by_project, "loop": by_loop}


def measure(way: str, root: Path, out: Path) -> None:
    """Run one way and print its seconds and the peak memory of this process."""
    start = time.perf_counter()
    WAYS[way](root, out)
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": round(seconds, 1), "peak_gb": round(peak_gb(), 2)}))


def compare(annotations: Path | None) -> None:
    """Make the source, build the index both ways, print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "coco"
        print("writing the annotations", flush=True)
        write_synthetic_coco(root, annotations)
        describe_source(root)
        figures = {}
        for way in WAYS:
            print(f"index by {way}", flush=True)
            figures[way] = _in_a_process(way, root, Path(folder) / f"{way}.parquet")
        ours = compare_tables(*(Path(folder) / f"{way}.parquet" for way in WAYS))
    project, loop = figures["project"], figures["loop"]
    result = {
        "images": len(ours),
        "captions": int(ours["captions"].map(len).sum()),
        **project,
        "loop_seconds": loop["seconds"],
        "loop_peak_gb": loop["peak_gb"],
        "speedup_vs_loop": round(loop["seconds"] / project["seconds"], 2),
        "within_goal": project["seconds"] <= MOST_SECONDS and project["peak_gb"] <= MOST_GB,
    }
    print(json.dumps(result))


def compare_tables(ours: Path, theirs: Path) -> pd.DataFrame:
    """The table in both files.

    Raises:
        InputError: They differ.
    """
    table, other = pd.read_parquet(ours), pd.read_parquet(theirs)
    for name in COLUMNS:
        if not _same(table[name], other[name]):
            raise InputError(f"the two tables differ in column {name}")
    return table


def _in_a_process(way: str, root: Path, out: Path) -> dict[str, float]:
    command = [sys.executable, str(Path(__file__).resolve()), "--measure", way, str(root)]
    done = subprocess.run([*command, str(out)], check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _same(ours: pd.Series, theirs: pd.Series) -> bool:
    if ours.name in {"captions", "labels"}:
        return list(map(list, ours)) == list(map(list, theirs))
    return ours.tolist() == theirs.tolist()


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--annotations", type=Path, metavar="FOLDER", help="real labels, captions")
    parser.add_argument("--measure", nargs=3, metavar=("WAY", "ROOT", "OUT"), help="one way only")
    arguments = parser.parse_args()
    if arguments.measure:
        way, root, out = arguments.measure
        measure(way, Path(root), Path(out))
    else:
        compare(arguments.annotations)


if __name__ == "__main__":
    run_guarded(main)
