"""Metadata for MIRFLICKR-25000: ``python examples/mirflickr25k.py mirflickr annotations``.

``mirflickr/`` is mirflickr25k.zip unpacked (``im1.jpg``; ``meta/tags/tags1.txt``, a tag per line),
``annotations/`` mirflickr25k_annotations_v080.zip (``sky.txt``: numbers of images, one per line).
The labels are the 24 potential ones, as in the hashing papers; those of ``_r1`` are stricter.
Images without a label stay out. Of the rest, 2,000 are queries and 5,000 train; 1,000 of the
database are val.
"""

import random
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

SPLITS = {"test": 2000, "train": 5000, "database_val": 1000}  # the others: database


def convert(photos: Path, annotations: Path, splits: dict[str, int] = SPLITS) -> None:
    """Write ``metadata.parquet`` beside the photos."""
    labels: dict[int, list[str]] = {}
    for path in sorted(annotations.glob("*.txt")):
        if not path.stem.endswith("_r1") and path.stem != "README":
            for number in map(int, path.read_text().split()):
                labels.setdefault(number, []).append(path.stem.replace("_", " "))
    if len(labels) <= sum(splits.values()):
        sys.exit(f"{annotations}: {len(labels)} labelled images, too few for SPLITS: {splits}")
    drawn = random.Random(2014).sample(sorted(labels), len(labels))
    names = [split for split, count in splits.items() for _ in range(count)]
    split_of = dict(zip(drawn, names + ["database"] * len(drawn), strict=False))
    rows = [
        {
            "file_name": f"im{number}.jpg",
            "caption": " ".join(
                (photos / f"meta/tags/tags{number}.txt").read_text("utf-8").split()
            ),
            "labels": labels[number],
            "split": split_of[number],
        }
        for number in sorted(labels)
    ]
    pq.write_table(pa.Table.from_pylist(rows), photos / "metadata.parquet")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
