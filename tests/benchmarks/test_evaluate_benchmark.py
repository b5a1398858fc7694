"""The benchmark of the evaluation on a few hundred codes: its peers are what they claim to be."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.hashnet_codes import CodeSet, draw_codes
from benchmarks.plain_evaluation import argsort_map, relevant_first, relevant_last
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.evaluation.ranking import evaluate_codes

ROOT = Path(__file__).resolve().parents[2]

# Distances 0, 1, 1, 3 from the one query; relevant: yes, no, yes, no.
GOLDEN = CodeSet(
    query_codes=np.zeros((1, 1), np.uint8),
    database_codes=np.array([[0], [1], [2], [7]], np.uint8),
    query_labels=np.ones((1, 1), np.uint8),
    database_labels=np.array([[1], [0], [1], [0]], np.uint8),
)


@pytest.fixture(autouse=True)
def _parts_find_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))


def test_the_loop_by_hand() -> None:
    assert argsort_map(GOLDEN, None, relevant_first) == 1
    assert argsort_map(GOLDEN, None, relevant_last) == pytest.approx((1 + 2 / 3) / 2)
    assert argsort_map(GOLDEN, 1) == 1
    # Half of the orders each.
    expected = evaluate_codes(*GOLDEN).figures()["mAP@all"]
    assert expected == pytest.approx((1 + (1 + 2 / 3) / 2) / 2)


def test_without_ties_the_loop_says_what_the_project_says() -> None:
    # The query and items at distances 0 to 64, one each.
    steps = np.tril(np.ones((65, 64), dtype=np.uint8), -1)
    labels = (np.random.default_rng(0).random((65, 1)) < 0.4).astype(np.uint8)
    codes = CodeSet(
        np.zeros((1, 8), np.uint8), np.packbits(steps, axis=1), np.ones((1, 1), np.uint8), labels
    )
    figures = evaluate_codes(*codes).figures()
    assert argsort_map(codes) == pytest.approx(figures["mAP@all"])


def test_codes_cluster_by_label() -> None:
    codes = draw_codes(30, 400, 64, None)
    assert [array.shape for array in codes] == [(30, 8), (400, 8), (30, 80), (400, 80)]
    figures = evaluate_codes(*codes).figures()
    assert figures["P@10"] > 2 * figures["chance"]
    again = draw_codes(30, 400, 64, None)
    assert all(np.array_equal(one, other) for one, other in zip(codes, again, strict=True))


def test_a_folder_without_lists_is_named(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "labels80_trainval2014.npz",
        ids=np.arange(3),
        labels=np.ones((3, 10), np.uint8),
        is_val=np.zeros(3, bool),
        category_ids=np.arange(80),
        category_names=np.array(["x"] * 80),
    )
    with pytest.raises(DataError, match=r"train\.txt .* is missing"):
        draw_codes(1, 1, 64, tmp_path)


def test_all_parts_agree() -> None:
    script = ROOT / "benchmarks" / "evaluate.py"
    words = ("--queries", "60", "--items", "900", "--loop-queries", "20", "--scaling")
    done = subprocess.run(
        [sys.executable, str(script), *words], check=True, stdout=subprocess.PIPE, text=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["largest_difference_to_scikit_learn"] < 1e-9
    for values in found["map"].values():
        assert values["relevant_last"] <= values["expected"] <= values["relevant_first"]
        assert values["relevant_last"] <= values["loop"] <= values["relevant_first"]
    if found["vote"]["why_not"] is None:
        assert found["vote"]["unlike_without_tie"] == 0
    assert [row["items"] for row in found["scaling"]] == [225, 450, 225, 450, 450, 450]
    assert found["scaling"][-1]["codes"] == "all equal"
    seconds = {"retrieval_seconds", "peak_gb", "speedup_vs_argsort", "classification_seconds"}
    assert seconds | {"vote_speedup_vs_faissknn"} <= set(found)
