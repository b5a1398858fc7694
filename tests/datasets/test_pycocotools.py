"""Annotations equal those that pycocotools reads from the same files."""

import contextlib
import io
import json
import random
from pathlib import Path
from typing import Any

import pytest
from pycocotools.coco import COCO

from siglip2_multimodal_hash.datasets.annotations import read_annotations
from siglip2_multimodal_hash.datasets.layout import CocoLayout, find_layout

COCO_MINI = Path(__file__).resolve().parents[2].parent / "shared" / "coco-mini"


def opened(path: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def assert_same(layout: CocoLayout) -> None:
    found = read_annotations(layout)
    rows = {image_id: row for row, image_id in enumerate(found.image_ids.tolist())}
    seen = 0
    for folder, path in layout.instances.items():
        instances = opened(path)
        assert sorted(instances.getCatIds()) == list(found.category_ids)
        names = [category["name"] for category in instances.loadCats(found.category_ids)]
        assert names == list(found.category_names)
        for image in instances.loadImgs(instances.getImgIds()):
            row = rows[image["id"]]
            assert found.file_names[row] == f"{folder}/{image['file_name']}"
            assert (found.widths[row], found.heights[row]) == (image["width"], image["height"])
            seen += 1
        for column, category_id in enumerate(found.category_ids):
            images = set(instances.getImgIds(catIds=[category_id]))
            labelled = {
                image_id for image_id in instances.imgs if found.labels[rows[image_id], column]
            }
            assert labelled == images
        captions = opened(layout.captions[folder])
        for image_id in captions.getImgIds():
            # not getAnnIds: it filters by area and category, which captions have not
            records = sorted(captions.imgToAnns[image_id], key=lambda record: record["id"])
            assert found.captions[rows[image_id]] == tuple(one["caption"] for one in records)
    assert seen == len(rows)


@pytest.mark.skipif(not COCO_MINI.is_dir(), reason="the folder coco-mini is not here")
def test_real_annotations() -> None:
    assert_same(find_layout(COCO_MINI))


@pytest.mark.parametrize("seed", range(5))
def test_random_annotations(tmp_path: Path, seed: int) -> None:
    root, generator = tmp_path / "coco", random.Random(seed)
    write_random(root, generator)
    assert_same(find_layout(root))


def write_random(root: Path, generator: random.Random) -> None:
    """Up to 40 images per folder, 7 categories, crowds, repeats, images with nothing on them."""
    ids = generator.sample(range(1, 10**6), 80)
    categories = [{"id": one, "name": f"c{one}"} for one in generator.sample(range(1, 91), 7)]
    (root / "annotations").mkdir(parents=True)
    for folder, pool in (("train2014", ids[:40]), ("val2014", ids[40:])):
        (root / "images" / folder).mkdir(parents=True)
        chosen = pool[: generator.randint(1, 40)]
        images = [
            {"id": one, "file_name": f"{one}.jpg", "width": one % 97 + 1, "height": 5}
            for one in chosen
        ]
        annotations: list[dict[str, Any]] = [
            {
                "id": number,
                "image_id": generator.choice(chosen),
                "category_id": generator.choice(categories)["id"],
                "iscrowd": int(generator.random() < 0.2),
                "area": generator.random(),
            }
            for number in generator.sample(range(10**6), generator.randint(0, 120))
        ]
        texts = [
            {"id": 10 * one + which, "image_id": one, "caption": f"{which} “{one}”\n"}
            for one in chosen
            for which in range(generator.randint(1, 7))
        ]
        generator.shuffle(texts)
        for kind, content in (
            ("instances", {"annotations": annotations, "categories": categories}),
            ("captions", {"annotations": texts}),
        ):
            path = root / "annotations" / f"{kind}_{folder}.json"
            path.write_text(json.dumps({"images": images, **content}), encoding="utf-8")
