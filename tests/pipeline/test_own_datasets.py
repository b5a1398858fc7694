"""Datasets of one's own through the stages, and the same photos as COCO 2014."""

import json
from pathlib import Path

import pytest

from siglip2_multimodal_hash.datasets.annotations import read_annotations
from siglip2_multimodal_hash.datasets.layout import find_layout
from siglip2_multimodal_hash.datasets.split_file import read_split
from tests.pipeline.conftest import ROOT, run_stage, small_params, working_in

COCO_MINI = ROOT.parent / "shared" / "coco-mini"
PATHS = {
    "prepare_dataset": {"out": "data/{n}/source"},
    "download_karpathy_split": {"source": "data/{n}/source", "out": "data/{n}/split.json"},
    "build_dataset_index": {
        "source": "data/{n}/source",
        "split": "data/{n}/split.json",
        "items": "data/{n}/items.parquet",
        "index": "data/{n}/index.parquet",
        "statistics": "data/{n}/statistics.json",
        "objects": "data/{n}/objects.parquet",
    },
    "tune_towers": {
        "source": "data/{n}/source",
        "index": "data/{n}/index.parquet",
        "out": "outputs/{n}/towers",
    },
    "embed": {
        "images": "data/{n}/source/images.parquet",
        "items": "data/{n}/items.parquet",
        "towers": "outputs/{n}/towers",
        "out": "outputs/{n}/embeddings",
    },
    "train": {
        "index": "data/{n}/index.parquet",
        "embeddings": "outputs/{n}/embeddings",
        "vote": "vote.json",
        "out": "outputs/{n}/head",
        "live": "live/{n}",
    },
    "extract_hashes": {
        "embeddings": "outputs/{n}/embeddings",
        "head": "outputs/{n}/head",
        "out": "outputs/{n}/codes",
    },
    "build_faiss_index": {
        "index": "data/{n}/index.parquet",
        "codes": "outputs/{n}/codes",
        "out": "outputs/{n}/database.faiss",
    },
    "evaluate_knn": {
        "index": "data/{n}/index.parquet",
        "codes": "outputs/{n}/codes",
        "faiss": "outputs/{n}/database.faiss",
        "out": "outputs/{n}/evaluation",
    },
}


def _figures(folder: Path, kind: str, **roots: str) -> dict[str, bytes]:
    """Run the stages up to the head's figures; the bytes of embeddings, codes and figures."""
    name = f"mine-{kind}"
    params = small_params(dataset__kind=kind, dataset__name=name, **roots)
    (folder / "params.yaml").write_text(params, encoding="utf-8")
    (folder / "vote.json").write_text("null")
    with working_in(folder):
        for stage, paths in PATHS.items():
            words = [f"stages.{stage}"]
            for option, path in paths.items():
                words += [f"--{option}", path.format(n=name)]
            assert run_stage(words) == 0, stage
    made = folder / "outputs" / name
    return {
        path.relative_to(made).as_posix(): path.read_bytes()
        for part in ("embeddings/*", "codes/*", "evaluation/figures.json")
        for path in sorted(made.glob(part))
    }


@pytest.mark.slow  # three runs of 239 real photos: 40 s
@pytest.mark.skipif(not COCO_MINI.is_dir(), reason="the folder coco-mini is not here")
def test_real_photos_give_the_same_bytes_in_all_three_forms(tmp_path: Path) -> None:
    (tmp_path / "models").symlink_to(ROOT / "models")
    photos = tmp_path / "photos"
    photos.mkdir()
    for folder in ("train2014", "val2014"):
        (photos / folder).mkdir()
        for image in (COCO_MINI / "images" / folder).iterdir():
            (photos / folder / image.name).write_bytes(image.read_bytes())
    known = read_annotations(find_layout(COCO_MINI))
    split_of = {one.file_name: one.split for one in read_split(COCO_MINI / "karpathy_split.json")}
    (photos / "classes.txt").write_text("\n".join(known.category_names))
    rows = [
        {
            "file_name": name,
            "captions": list(captions),
            "labels": [known.category_names[c] for c in labels.nonzero()[0]],
            "split": split_of[name],
        }
        for name, captions, labels in zip(
            known.file_names, known.captions, known.labels, strict=True
        )
    ]
    (photos / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    as_coco = _figures(tmp_path, "coco2014", runtime__coco_root=str(COCO_MINI))
    assert len(as_coco) > 6
    for kind, root in (("folder", photos), ("coco_json", COCO_MINI)):
        assert _figures(tmp_path, kind, runtime__dataset_root=str(root)) == as_coco
