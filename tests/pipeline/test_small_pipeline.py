"""The whole pipeline on a small mojicoco: what it reads, and what it leaves behind."""

import csv
import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from siglip2_multimodal_hash.datasets.index import read_index
from siglip2_multimodal_hash.features.store import load_embeddings
from siglip2_multimodal_hash.retrieval.codes import binarize
from siglip2_multimodal_hash.retrieval.store import read_head_codes
from tests.pipeline.conftest import FinishedRun, commands, run_stage, small_params, working_in
from tests.pipeline.declarations import check_reads, pipeline_stages

OUTPUTS = Path("outputs/mojicoco/siglip2-tiny")
FIGURES = Path("metrics/mojicoco/siglip2-tiny/figures.json")
STAGES = pipeline_stages()
UNTRAINED = ("float", "lsh", "pca_sign", "itq")
FOCUS = {
    f"loss.{name}"
    for name in (
        "focal_alpha",
        "focal_gamma",
        "asymmetric_gamma_pos",
        "asymmetric_gamma_neg",
        "asymmetric_clip",
    )
}


@pytest.mark.parametrize("stage", commands())
def test_a_stage_reads_at_run_time_what_it_declares(finished_run: FinishedRun, stage: str) -> None:
    _, reads = finished_run
    check_reads(stage, reads[stage], CONDITIONAL.get(stage, set()))


# Read only where another parameter asks for it, so not in a run of the default.
CONDITIONAL = {
    # Frozen: the rest is read by a tuning, see tests/training/tuning.
    "tune_towers": set(STAGES["tune_towers"]["params"]) - {"backbone.tune"},
    "evaluate_classifiers": FOCUS,
    "evaluate_untrained": {"knn.shortlist", "knn.threshold"},
    "evaluate_knn_grid": {"knn.shortlist"},
    # Of a folder there is no revision.
    "report": {"runtime.coco_root", "backbone.revision"},
}


def test_embeddings_belong_to_the_index(finished_run: FinishedRun) -> None:
    folder, _ = finished_run
    index = read_index(folder / "data/mojicoco/index.parquet")
    vectors = load_embeddings(folder / OUTPUTS / "embeddings")
    assert len(vectors.image) == len(index.frame) == 180
    np.testing.assert_array_equal(vectors.caption_offsets, index.caption_offsets())
    norms = np.linalg.norm(vectors.image, axis=1)
    assert norms.std() > 0.01, "the magnitude must not be a constant"


def test_packed_codes_are_the_signs_of_the_soft_ones(finished_run: FinishedRun) -> None:
    folder, _ = finished_run
    codes = read_head_codes(folder / OUTPUTS / "codes")
    assert codes.packed is not None
    assert codes.packed.shape == (180, 8)
    np.testing.assert_array_equal(codes.packed, binarize(codes.soft))


def test_metrics_name_every_predictor_on_val_and_test(finished_run: FinishedRun) -> None:
    folder, _ = finished_run
    summary = json.loads((folder / FIGURES).read_text())
    for split in ("val", "test"):
        assert set(summary[split]) == {"knn", "mlp", "hybrid"}
        assert all(0 < row["mAP"] <= 1 for row in summary[split].values())
    for name in ("knn", "hybrid"):
        assert summary[f"{name}_best"]["val"]["mAP"] >= summary["val"][name]["mAP"]
        assert 0 < summary[f"{name}_best"]["test"]["mAP"] <= 1
    assert json.loads((folder / "metrics/summary.json").read_text()) == {
        "knn": summary["test"]["knn"]["mAP"],
        "knn_best": summary["knn_best"]["test"]["mAP"],
        "mlp": summary["test"]["mlp"]["mAP"],
        "retrieval": summary["retrieval"]["mAP@all"],
        "val_knn": summary["val"]["knn"]["mAP"],
        "val_mlp": summary["val"]["mlp"]["mAP"],
    }
    rows = json.loads((folder / OUTPUTS / "details/baselines.json").read_text())
    assert set(rows) == {
        *("fused", "direction_only", "magnitude_only", "image_only", "caption_only"),
        *("mlp", "logistic_regression", "zero_shot"),
        # Too few training images for the centroids of product quantisation.
        *(*UNTRAINED, "chance"),
    }


def test_plots_hold_data(finished_run: FinishedRun) -> None:
    folder, _ = finished_run
    plots = folder / "plots/mojicoco/siglip2-tiny"
    for path in sorted(plots.glob("*.csv")):
        with path.open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert rows, path.name
        assert all(None not in row.values() for row in rows), path.name
    assert (plots / "overview.png").read_bytes().startswith(b"\x89PNG")


def test_the_report_is_one_file_without_links(finished_run: FinishedRun) -> None:
    folder, _ = finished_run
    page = (folder / "reports/mojicoco/siglip2-tiny/index.html").read_text()
    assert page.count('{"photo":') == 5
    assert len(re.findall(r"95%: [\d.]+ to [\d.]+", page)) == 4
    markup, _, _ = page.partition('<script type="module">')
    assert not re.search(r'(?:src|href)="(?!#|data:)', markup)
    assert len(page.encode()) <= 5_000_000


def test_a_report_with_links_needs_unpacked_photos(
    finished_run: FinishedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = finished_run
    linked = small_params(report__embed_images=False, report__link_images=True)
    (tmp_path / "params.yaml").write_text(linked)
    shutil.copytree(folder / "data", tmp_path / "data")
    for made in ("outputs", "metrics", "plots"):
        (tmp_path / made).symlink_to(folder / made)
    page = tmp_path / "reports/mojicoco/siglip2-tiny/index.html"
    with working_in(tmp_path):
        assert run_stage(commands()["report"]) == 2
    said = capsys.readouterr().err
    assert "data/mojicoco/source/images/val2014.zip: an archive" in said
    assert "report.link_images: false" in said
    assert not page.exists()
    for archive in (tmp_path / "data/mojicoco/source/images").glob("*.zip"):
        shutil.unpack_archive(archive, archive.parent)
    with working_in(tmp_path):
        assert run_stage(commands()["report"]) == 0
    text = page.read_text()
    links = set(re.findall('"link":"([^"]*)"', text))
    assert len(links) > 5
    assert all((page.parent / link).is_file() for link in links)
    assert "data:image" not in text
    assert str(tmp_path) not in text


def test_a_second_fit_gives_the_same_bytes(finished_run: FinishedRun, tmp_path: Path) -> None:
    from tests.pipeline.conftest import commands, run_stage, working_in

    folder, _ = finished_run
    words = commands()["train"]
    out = words.index("--out") + 1
    again = [*words[:out], str(tmp_path / "head"), *words[out + 1 :]]
    with working_in(folder):
        assert run_stage(again) == 0
    for name in ("best.safetensors", "last.safetensors", "history.json"):
        assert _digest(tmp_path / "head" / name) == _digest(folder / OUTPUTS / "head" / name)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_each_row_of_the_details_names_modality_predictor_and_split(
    finished_run: FinishedRun,
) -> None:
    folder, _ = finished_run
    rows = json.loads((folder / OUTPUTS / "details/details.json").read_text())
    alone = {"zero_shot": "image", "image_only": "image", "caption_only": "caption"}
    for name, row in rows.items():
        assert row["modality"] == alone.get(name, "fused"), name
        for split in ("val", "test"):
            if name in ("mlp", "logistic_regression", "zero_shot"):
                assert 0 < row[split]["mAP"] <= 1
            else:
                assert 0 < row["knn"][split]["mAP"] <= 1
                assert set(row["retrieval"]) == ({"test"} if name in UNTRAINED else {"val", "test"})
                assert all(0 < found["mAP@all"] <= 1 for found in row["retrieval"].values())


def test_baselines_fitted_in_processes_are_those_fitted_one_by_one(
    finished_run: FinishedRun, tmp_path: Path
) -> None:
    folder, _ = finished_run  # made with num_workers 0
    (tmp_path / "params.yaml").write_text(small_params(runtime__dataloader__num_workers=2))
    words = commands()["train_variants"]
    made = words[words.index("--out") + 1]
    (tmp_path / "data").symlink_to(folder / "data")
    for read in ("--embeddings", "--vote"):
        path = Path(words[words.index(read) + 1])
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).symlink_to(folder / path)
    with working_in(tmp_path):
        assert run_stage(words) == 0
    files = sorted(path.relative_to(folder) for path in (folder / made).rglob("*.npy"))
    assert len(files) == 12  # soft and packed codes and scores of four
    for file in files:
        assert (tmp_path / file).read_bytes() == (folder / file).read_bytes(), file


def test_without_baselines_the_head_stands_alone_and_the_report_is_whole(
    finished_run: FinishedRun, tmp_path: Path
) -> None:
    folder, _ = finished_run
    for name in ("data", "outputs", "live", "metrics", "plots"):
        if (folder / name).exists():
            shutil.copytree(folder / name, tmp_path / name)
    without = dict.fromkeys(
        ("baselines__classifiers", "baselines__variants", "baselines__untrained"), False
    )
    (tmp_path / "params.yaml").write_text(small_params(**without), encoding="utf-8")
    words = commands()
    for name in ("variants", "classifiers", "untrained"):  # as DVC does
        shutil.rmtree(tmp_path / OUTPUTS / name)
    with working_in(tmp_path):
        for name in (
            *("train_variants", "evaluate_variants", "evaluate_classifiers"),
            *("search_untrained", "evaluate_untrained", "summarise", "report"),
        ):
            assert run_stage(words[name]) == 0, name
    rows = json.loads((tmp_path / OUTPUTS / "details/baselines.json").read_text())
    assert set(rows) == {"fused", "chance"}
    assert (tmp_path / FIGURES).read_bytes() == (folder / FIGURES).read_bytes()
    page = (tmp_path / "reports/mojicoco/siglip2-tiny/index.html").read_text()
    assert page.count('{"photo":') == 5
    assert [path.name for path in (tmp_path / OUTPUTS / "variants").iterdir()] == ["left_out.json"]
