"""Features that were brought along go through the pipeline as if it had embedded them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from siglip2_multimodal_hash.datasets.index import read_index
from siglip2_multimodal_hash.features.store import load_embeddings
from siglip2_multimodal_hash.params import load_params
from siglip2_multimodal_hash.presets import apply_overrides
from tests.pipeline.conftest import ROOT, FinishedRun, commands, run_stage, small_params, working_in

EMBEDDED = Path("outputs/mojicoco/siglip2-tiny/embeddings")
FROM_EMBED = (
    "embed",
    "train",
    "extract_hashes",
    "build_faiss_index",
    "evaluate_knn",
    "evaluate_knn_grid",
    "evaluate_classifiers",
    "train_variants",
    "evaluate_variants",
    "search_untrained",
    "evaluate_untrained",
    "summarise",
)


@pytest.fixture
def project(finished_run: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the dataset of the finished run, and nothing embedded."""
    data = tmp_path / "data/mojicoco"
    data.mkdir(parents=True)
    for path in (finished_run[0] / "data/mojicoco").iterdir():
        (data / path.name).symlink_to(path)
    (tmp_path / "params.yaml").write_text(small_params(), encoding="utf-8")
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.chdir(tmp_path)
    assert run_stage(commands()["check_params"]) == 0
    return tmp_path


def run(project: Path, name: str, stage: str) -> int:
    words = [
        word.replace("/siglip2-tiny/", f"/{name}/").replace("/siglip2-tiny", f"/{name}")
        for word in commands()[stage]
    ]
    with working_in(project):
        return run_stage(words)


def figures(folder: Path, name: str, file: str) -> Any:
    metrics = folder / "metrics/mojicoco" / name / file
    path = metrics if metrics.exists() else folder / "outputs/mojicoco" / name / "details" / file
    return json.loads(path.read_text(encoding="utf-8"))


def test_features_of_the_tiny_towers_give_the_metrics_of_embedding(
    finished_run: FinishedRun,
    project: Path,
    smhash: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    finished, _ = finished_run
    vectors = load_embeddings(finished / EMBEDDED)
    frame = read_index(finished / "data/mojicoco/index.parquet").frame
    order = np.random.default_rng(0).permutation(len(frame))
    np.save("image.npy", vectors.image[order])
    frame.iloc[order][["file_name"]].to_csv("images.csv", index=False)
    np.save("caption.npy", vectors.caption)
    np.save("captions.npy", np.repeat(frame["image_id"], np.diff(vectors.caption_offsets)))
    np.save("classes.npy", vectors.prompt)
    arguments = (
        *("--image", "image.npy", "--image-ids", "images.csv"),
        *("--caption", "caption.npy", "--caption-ids", "captions.npy", "--prompts", "classes.npy"),
    )
    assert smhash("import-features", "--name", "mine", *arguments) == 0
    assert "+  checkpoint: imported" in capsys.readouterr().out
    params = load_params()
    assert params.backbone.name == "mine"
    assert Path(params.runtime.features_folder).name == params.backbone.revision
    for stage in FROM_EMBED:
        assert run(project, "mine", stage) == 0, stage
    for file in ("figures.json", "baselines.json", "details.json"):
        assert figures(project, "mine", file) == figures(finished, "siglip2-tiny", file), file


@pytest.fixture
def clip(finished_run: FinishedRun, project: Path) -> Path:
    """Image features alone, normalised and in half precision, as clip-retrieval writes them."""
    finished, _ = finished_run
    vectors = load_embeddings(finished / EMBEDDED)
    frame = read_index(finished / "data/mojicoco/index.parquet").frame
    unit = vectors.image / np.linalg.norm(vectors.image, axis=1, keepdims=True)
    for part in ("img_emb", "metadata"):
        (project / "clip" / part).mkdir(parents=True)
    for number, rows in enumerate(np.array_split(np.arange(len(frame)), 11)):
        np.save(project / f"clip/img_emb/img_emb_{number}.npy", unit[rows].astype(np.float16))
        paths = ["/elsewhere/" + name for name in frame["file_name"].iloc[rows]]
        table = pd.DataFrame({"image_path": paths})
        table.to_parquet(project / f"clip/metadata/metadata_{number}.parquet")
    return project / "clip"


def test_one_modality_without_prompts(
    project: Path,
    clip: Path,
    smhash: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert smhash("import-features", clip, "--name", "clip") == 0
    assert (
        "next: smhash use -S fusion.modalities=image -S fusion.type=concat && dvc repro"
        in capsys.readouterr().out
    )
    assert "their magnitude is a constant" in caplog.text
    assert run(project, "clip", "embed") == 0
    assert run(project, "clip", "train") == 2
    found = capsys.readouterr().err
    assert "fusion.modalities = both: the imported features are of the image alone" in found
    settings = ("-S", "fusion.modalities=image", "-S", "fusion.type=concat")
    assert smhash("use", *settings) == 0
    with caplog.at_level("INFO"):
        for stage in FROM_EMBED[1:]:
            assert run(project, "clip", stage) == 0, stage
    rows = figures(project, "clip", "baselines.json")
    left_out = {"caption_only", "direction_only", "zero_shot"}
    assert rows.keys() == {
        *("fused", "image_only", "magnitude_only", "mlp", "logistic_regression"),
        *("float", "lsh", "pca_sign", "itq", "chance"),
    }
    for name in left_out:
        assert f"{name}: left out, because" in caplog.text
    modalities = {row["modality"] for row in figures(project, "clip", "details.json").values()}
    assert modalities == {"image"}


def test_unlike_widths_need_a_projection(
    finished_run: FinishedRun,
    project: Path,
    smhash: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    finished, _ = finished_run
    vectors = load_embeddings(finished / EMBEDDED)
    ids = read_index(finished / "data/mojicoco/index.parquet").frame["image_id"]
    np.save("image.npy", vectors.image)
    np.save("caption.npy", vectors.captions_by_policy("first")[:, :48])
    np.save("ids.npy", ids)
    arguments = (
        *("--image", "image.npy", "--image-ids", "ids.npy"),
        *("--caption", "caption.npy", "--caption-ids", "ids.npy"),
    )
    assert smhash("import-features", "--name", "mixed", *arguments) == 0
    assert "next: smhash use -S fusion.project_dim=48 && dvc repro" in capsys.readouterr().out
    assert run(project, "mixed", "embed") == 0
    assert run(project, "mixed", "train") == 2
    assert "-> `smhash use -S fusion.project_dim=48`" in capsys.readouterr().err
    apply_overrides(Path("params.yaml"), {"fusion.project_dim": 48, "training.num_epochs": 3})
    for stage in (*FROM_EMBED[1:6], "train_variants"):
        assert run(project, "mixed", stage) == 0, stage
    head = json.loads(Path("outputs/mojicoco/mixed/head/config.json").read_text())["head"]
    assert (head["image_dim"], head["caption_dim"], head["project_dim"]) == (128, 48, 48)
