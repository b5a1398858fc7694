"""The stages of the index and of the vote with every index.kind, on a finished small run."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.index_kinds import codes_of_run
from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.retrieval.index import build_index
from siglip2_multimodal_hash.retrieval.search import search_hamming
from tests.benchmarks.test_index_kinds_benchmark import run as run_benchmark
from tests.pipeline.conftest import FinishedRun, commands, run_stage, small_params, working_in

STAGES = ("build_faiss_index", "evaluate_knn", "evaluate_knn_grid")


def prepare(folder: Path, run: Path, **params: Any) -> Path:
    """A folder with these parameters that sees the data and the codes of a run."""
    (folder / "params.yaml").write_text(small_params(**params), encoding="utf-8")
    outputs = folder / "outputs/mojicoco/siglip2-tiny"
    if not outputs.exists():
        outputs.mkdir(parents=True)
        (folder / "data").symlink_to(run / "data")
        (outputs / "codes").symlink_to(run / "outputs/mojicoco/siglip2-tiny/codes")
    return outputs


@pytest.mark.parametrize("kind", ["ivf", "hnsw", "multihash"])
def test_the_vote_uses_the_kind(finished_run: FinishedRun, tmp_path: Path, kind: str) -> None:
    run, _ = finished_run
    words = commands()
    outputs = prepare(tmp_path, run, index__kind=kind, index__ivf__nprobe=2)
    with working_in(tmp_path):
        assert [run_stage(words[stage]) for stage in STAGES] == [0, 0, 0]
    assert json.loads((outputs / "database.faiss.json").read_text())["kind"] == kind
    exact = run / "outputs/mojicoco/siglip2-tiny/evaluation"
    ours, theirs = (
        json.loads((folder / "figures.json").read_text())
        for folder in (outputs / "evaluation", exact)
    )
    assert ours["retrieval"] == theirs["retrieval"]
    near = np.load(outputs / "evaluation/test-similarities.npy")
    assert np.all(near <= np.load(exact / "test-similarities.npy"))
    assert np.allclose(near[:, 0], np.load(exact / "test-similarities.npy")[:, 0], atol=0.15)


def test_an_index_with_other_parameters_is_refused(
    finished_run: FinishedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, _ = finished_run
    words = commands()
    prepare(tmp_path, run, index__kind="ivf", index__ivf__nprobe=2)
    with working_in(tmp_path):
        assert run_stage(words["build_faiss_index"]) == 0
        prepare(tmp_path, run, index__kind="ivf", index__ivf__nprobe=3)
        assert [run_stage(words[stage]) for stage in STAGES[1:]] == [2, 2]
    error = capsys.readouterr().err
    assert error.count("built as index.kind = ivf") == 2
    assert error.count("run `dvc repro build_faiss_index`") == 2


CODES = "outputs/mojicoco/siglip2-tiny/codes"


def test_the_benchmark_searches_what_the_vote_does(finished_run: FinishedRun) -> None:
    run, _ = finished_run
    database, queries = codes_of_run(run / CODES, None)
    found = search_hamming(build_index(database), queries, 20)
    evaluation = run / "outputs/mojicoco/siglip2-tiny/evaluation"
    assert np.array_equal(found.rows, np.load(evaluation / "test-neighbours.npy"))


def test_the_benchmark_compares_all_kinds_on_the_codes_of_a_run(
    finished_run: FinishedRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    codes = str(finished_run[0] / CODES)
    out, rows = run_benchmark(monkeypatch, capsys, "--codes", codes, "--queries", "5")
    assert "120 items, 5 queries, 64 bits, K = 20" in out
    assert {row["kind"] for row in rows} == {"flat", "ivf", "hnsw", "multihash"}
    assert {(row["items"], row["bits"]) for row in rows} == {(120, 64)}
    assert all(row["file_mb"] >= 0 and row["ms_per_query"] > 0 for row in rows)


def test_the_benchmark_refuses_a_run_without_bits_and_another_dataset(
    finished_run: FinishedRun, tmp_path: Path
) -> None:
    run, _ = finished_run
    folder = tmp_path / "codes"
    shutil.copytree(run / CODES, folder)
    (folder / "packed.npy").unlink()
    with pytest.raises(InputError, match="no codes"):
        codes_of_run(folder, run / "data/mojicoco/index.parquet")
    for name in ("soft", "scores", "packed"):
        np.save(folder / f"{name}.npy", np.load(run / CODES / f"{name}.npy")[1:])
    with pytest.raises(DataError, match="images of the index"):
        codes_of_run(folder, run / "data/mojicoco/index.parquet")
