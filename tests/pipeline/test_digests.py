"""The bytes of each stage: the same again on one machine, and in the log for other machines.

The end of a test run prints the digests, so that the logs of two machines show the first stage at
which they part.
"""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from siglip2_multimodal_hash.features.store import load_embeddings
from tests.pipeline.conftest import ROOT, FinishedRun, commands, filled
from tests.pipeline.declarations import pipeline_stages

OUTPUTS = Path("outputs/mojicoco/siglip2-tiny")


def digest(*paths: Path) -> str:
    """Of the names and bytes of files and folders."""
    summed = hashlib.sha256()
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                summed.update(file.name.encode() + file.read_bytes())
    return summed.hexdigest()[:12]


def outputs(stage: str) -> list[str]:
    """Paths of a stage's outputs."""
    declared = pipeline_stages()[stage]
    listed = [out for kind in ("outs", "metrics", "plots") for out in declared.get(kind, [])]
    return [filled(out if isinstance(out, str) else next(iter(out))) for out in listed]


def rerun(folder: Path, out: Path, *stages: str, **variables: str) -> None:
    """Run stages of a finished run once more, into other folders."""
    (out / "src").symlink_to(ROOT / "src")
    (out / "stages").symlink_to(ROOT / "stages")
    (out / "params.yaml").write_bytes((folder / "params.yaml").read_bytes())
    for name in ("data", "models"):
        (out / name).symlink_to(folder / name)
    (out / OUTPUTS).mkdir(parents=True)
    for made in (OUTPUTS / "towers", Path("outputs/monitored_vote.json")):
        (out / made).symlink_to(folder / made)
    environment = os.environ | variables | {"PYTHONPATH": f"{ROOT / 'src'}"}
    for stage in stages:
        subprocess.run(
            [sys.executable, "-m", *commands()[stage]],
            cwd=out,
            env=environment,
            check=True,
            capture_output=True,
        )


def test_the_bytes_of_each_stage_are_in_the_log(
    finished_run: FinishedRun, record_property: Callable[[str, object], None]
) -> None:
    folder, _ = finished_run
    for stage in commands():
        paths = [folder / out for out in outputs(stage)]
        assert all(path.exists() for path in paths), stage
        record_property(f"digest of {stage}", digest(*paths))


def test_another_run_gives_the_same_bytes(finished_run: FinishedRun, tmp_path: Path) -> None:
    """Of the pass over the dataset; DVC says it of a fit in `test_dvc`."""
    folder, _ = finished_run
    rerun(folder, tmp_path, "embed")
    (out,) = outputs("embed")
    assert digest(tmp_path / out) == digest(folder / out)


@pytest.mark.slow
def test_the_code_path_for_all_makers_agrees_within_rounding(
    finished_run: FinishedRun, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """MKL's own mode for CPUs of any make: too slow for a default, and here to be compared."""
    folder, _ = finished_run
    rerun(folder, tmp_path, "embed", "train", MKL_CBWR="COMPATIBLE")
    ours = load_embeddings(folder / OUTPUTS / "embeddings")
    theirs = load_embeddings(tmp_path / OUTPUTS / "embeddings")
    np.testing.assert_allclose(theirs.image, ours.image, atol=1e-4)
    np.testing.assert_allclose(theirs.caption, ours.caption, atol=1e-4)
    for stage in ("embed", "train"):
        (out,) = outputs(stage)
        record_property(f"digest of {stage}, MKL_CBWR=COMPATIBLE", digest(tmp_path / out))
