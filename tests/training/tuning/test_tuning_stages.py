"""The stages on tuned towers: what they read is what dvc.yaml declares, and embed takes them."""

import json
from pathlib import Path

import numpy as np
import pytest

from siglip2_multimodal_hash.features.store import load_embeddings
from tests.pipeline.conftest import commands, recorded_reads, run_stage, working_in
from tests.pipeline.declarations import check_reads
from tests.training.tuning.conftest import SmallDataset, tuning_text

OUTPUTS = "outputs/mojicoco/siglip2-tiny"


@pytest.fixture(scope="module")
def stages(
    small_dataset: SmallDataset, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, set[str]]:
    """A folder where both stages ran with adapters, and the parameters that the first one read."""
    folder = tmp_path_factory.mktemp("stages")
    (folder / "data").symlink_to(small_dataset.folder / "data")
    text = tuning_text("siglip", "lora", tune__epochs=1)
    (folder / "params.yaml").write_text(text, encoding="utf-8")
    read: set[str] = set()
    with working_in(folder):
        with recorded_reads(read):
            assert run_stage(commands()["tune_towers"]) == 0
        assert run_stage(commands()["embed"]) == 0
    return folder, read


def test_a_tuning_reads_what_dvc_is_told(stages: tuple[Path, set[str]]) -> None:
    _, read = stages
    check_reads("tune_towers", read)


def test_embed_takes_the_tuned_towers(
    stages: tuple[Path, set[str]], small_dataset: SmallDataset
) -> None:
    folder, _ = stages
    meta = json.loads((folder / OUTPUTS / "embeddings" / "meta.json").read_text())
    assert meta["checkpoint"] == f"{OUTPUTS}/towers"
    vectors = load_embeddings(folder / OUTPUTS / "embeddings")
    assert len(vectors.image) == len(small_dataset.index.frame)
    assert np.isfinite(vectors.image).all()
