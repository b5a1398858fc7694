"""Ctrl-C under `dvc repro embed`: what is whole stays, and the next `dvc repro` goes on from it."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.pipeline.conftest import commands, small_params
from tests.pipeline.repositories import environment, new_repository, run_in

EMBEDDINGS = Path("outputs/mojicoco/siglip2-tiny/embeddings")
PARTIAL = EMBEDDINGS.with_name("embeddings.partial")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """All but the embeddings; one image per batch, so that the captions take seconds."""
    new_repository(tmp_path, small_params(runtime__dataloader__embed_batch_size=1))
    result = run_in(tmp_path, "dvc", "repro", "build_dataset_index")
    assert result.returncode == 0, result.stdout + result.stderr
    run_in(tmp_path, "git", "add", "-A")
    assert run_in(tmp_path, "git", "commit", "-qm", "index").returncode == 0
    return tmp_path


def interrupted(folder: Path) -> str:
    """`dvc repro embed`, ended by Ctrl-C once a shard is whole; what it printed."""
    with (folder.parent / "log").open("w+") as log:
        process = subprocess.Popen(
            ["dvc", "repro", "embed"],
            cwd=folder,
            env=environment(),
            stdout=log,
            stderr=subprocess.STDOUT,
            # A terminal sends Ctrl-C to DVC and the stage alike: to the whole group.
            start_new_session=True,
        )
        while process.poll() is None and not (folder / PARTIAL / "progress.json").exists():
            time.sleep(0.002)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=120) != 0
        log.seek(0)
        return log.read()


@pytest.mark.slow
def test_the_next_repro_goes_on_where_ctrl_c_ended_the_last(repository: Path) -> None:
    printed = interrupted(repository)
    kept = re.search(r"interrupted: kept (.+) in", printed)
    assert kept is not None, printed
    assert not kept[1].startswith("0 of")
    assert "Traceback" not in printed
    assert not (repository / EMBEDDINGS).exists()
    assert (repository / PARTIAL / "progress.json").exists()
    assert run_in(repository, "git", "check-ignore", "-q", str(PARTIAL)).returncode == 0
    status = run_in(repository, "git", "status", "--porcelain", "--untracked-files=all").stdout
    assert "partial" not in status

    result = run_in(repository, "dvc", "repro", "embed")
    printed = result.stdout + result.stderr
    assert result.returncode == 0, printed
    assert "Running stage 'embed'" in printed
    assert f"found {kept[1]} in" in printed
    assert not (repository / PARTIAL).exists()

    words = commands()["embed"]
    whole = repository / "whole"
    again = [*words[: words.index("--out") + 1], str(whole)]
    assert run_in(repository, sys.executable, "-m", *again).returncode == 0
    names = sorted(path.name for path in whole.iterdir())
    assert len(names) == 5
    for name in names:
        assert (repository / EMBEDDINGS / name).read_bytes() == (whole / name).read_bytes(), name
