"""The whole room on 239 real photos of COCO 2014."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from siglip2_multimodal_hash.datasets.images import open_image_source
from siglip2_multimodal_hash.datasets.index import DatasetIndex, read_index, write_index
from siglip2_multimodal_hash.datasets.index_builder import index_source
from siglip2_multimodal_hash.datasets.manifest import describe_source, read_manifest, verify_source
from siglip2_multimodal_hash.datasets.protocols import write_protocol_split
from siglip2_multimodal_hash.datasets.statistics import dataset_statistics

ROOT = Path(__file__).resolve().parents[2].parent / "shared" / "coco-mini"
COUNTS = {"train": 40, "restval": 120, "val": 39, "test": 40}

pytestmark = pytest.mark.skipif(not ROOT.is_dir(), reason=f"{ROOT.name} is not beside the project")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> DatasetIndex:
    folder = tmp_path_factory.mktemp("coco-mini")
    split_file = folder / "karpathy_split.json"
    split_counts = write_protocol_split(
        "karpathy", ROOT, split_file, val_images=1, seed=0, whole_coco=True
    )
    assert split_counts.found == COUNTS
    assert split_counts.line() == (
        "train 40 of 82,783, restval 120 of 30,504, val 39 of 5,000, test 40 of 5,000"
    )
    describe_source(ROOT, folder)
    verify_source(ROOT, read_manifest(folder), digests=True)
    built, counts = index_source(ROOT, folder, split_file, "keep")
    assert counts.images == COUNTS
    write_index(folder / "index.parquet", built)
    return read_index(folder / "index.parquet")


def test_every_photo_decodes_to_its_annotated_size(index: DatasetIndex) -> None:
    source = open_image_source(ROOT)
    for row in index.frame.to_dict("records"):
        image = source.open(row["file_name"])
        assert (image.mode, image.size) == ("RGB", (row["width"], row["height"]))
        assert len(source.read(row["file_name"])) == row["bytes"]


def test_labels_and_captions_are_those_of_the_files(index: DatasetIndex) -> None:
    """Against a plain loop over the raw JSON."""
    labels: dict[int, set[int]] = {}
    captions: dict[int, list[tuple[int, str]]] = {}
    for folder in ("train2014", "val2014"):
        content = json.loads((ROOT / "annotations" / f"instances_{folder}.json").read_text())
        for one in content["annotations"]:
            labels.setdefault(one["image_id"], set()).add(one["category_id"])
        content = json.loads((ROOT / "annotations" / f"captions_{folder}.json").read_text())
        for one in content["annotations"]:
            captions.setdefault(one["image_id"], []).append((one["id"], one["caption"]))
    assert len(index.category_ids) == 80
    ids = np.array(index.category_ids)
    for row in index.frame.to_dict("records"):
        assert set(ids[row["labels"] == 1].tolist()) == labels.get(row["image_id"], set())
        assert row["captions"] == [text for _, text in sorted(captions[row["image_id"]])]


def test_statistics_add_up(index: DatasetIndex) -> None:
    found = dataset_statistics(index)
    assert found["images"] == {**COUNTS, "total": 239}
    assert Counter(index.frame["split"]) == COUNTS
    frequency = np.sum([one["class_frequency"] for one in found["splits"].values()], axis=0)
    assert frequency.tolist() == index.labels().sum(axis=0, dtype=int).tolist()
    assert (frequency > 0).all()
    diagonal = np.diag(found["co_occurrence_train"]).tolist()
    assert diagonal == found["splits"]["train"]["class_frequency"]
