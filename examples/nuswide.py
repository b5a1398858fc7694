r"""Metadata for NUS-WIDE: ``python examples/nuswide.py NUS-WIDE``.

Below the folder lie the published archives, unpacked: ``ImageList/Imagelist.txt`` (one image per
line, ``actor\0001_2124494179.jpg``), ``NUS_WID_Tags/All_Tags.txt`` (an id and the tags of each,
in the same order), ``Groundtruth/AllLabels/Labels_*.txt`` (0 or 1 for each, in the same order), and
the photos in ``Flickr/``. The labels are the 21 most frequent concepts, as in the hashing papers.
Images without one of them, or that are not there, stay out. Of the rest, 2,100 are queries and
10,500 train; 2,100 of the database are val.
"""

import random
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

SPLITS = {"test": 2100, "train": 10500, "database_val": 2100}  # the others: database


def convert(root: Path, splits: dict[str, int] = SPLITS, concepts: int = 21) -> None:
    """Write ``metadata.parquet`` into the folder."""
    images = (root / "ImageList/Imagelist.txt").read_text().split()
    files = ["Flickr/" + name.replace("\\", "/") for name in images]
    tags = (root / "NUS_WID_Tags/All_Tags.txt").read_text("utf-8").strip("\n").split("\n")
    shown = {}
    for path in sorted((root / "Groundtruth/AllLabels").glob("Labels_*.txt")):
        shown[path.stem.removeprefix("Labels_")] = [
            word == "1" for word in path.read_text().split()
        ]
    chosen = sorted(sorted(shown, key=lambda name: -sum(shown[name]))[:concepts])
    rows = [
        {"file_name": name, "caption": " ".join(words.split()[1:]), "labels": labels}
        for row, (name, words) in enumerate(zip(files, tags, strict=True))
        if (labels := [one for one in chosen if shown[one][row]]) and (root / name).is_file()
    ]
    if len(rows) <= sum(splits.values()):
        sys.exit(f"{root}: {len(rows)} labelled images, too few for SPLITS: {splits}")
    names = [split for split, count in splits.items() for _ in range(count)]
    names = (names + ["database"] * len(rows))[: len(rows)]
    random.Random(2014).shuffle(names)
    table = [row | {"split": name} for row, name in zip(rows, names, strict=True)]
    pq.write_table(pa.Table.from_pylist(table), root / "metadata.parquet")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    convert(Path(sys.argv[1]))
