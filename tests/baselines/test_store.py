"""Results of classifiers, and the note of the variants that were not trained."""

import logging
from pathlib import Path

import numpy as np
import pytest

from siglip2_multimodal_hash.baselines.store import (
    ClassifierResults,
    all_left_out,
    leave_out_all,
    read_left_out,
    write_left_out,
)
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.files import read_json


def test_results_of_classifiers_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    scores = np.full((2, 4), 0.5, np.float32)
    results = ClassifierResults({"a": {"mAP": 1.0}}, {"a": scores})
    results |= ClassifierResults({"b": {"mAP": 0.5}}, {"b": scores + 1})
    results.write(tmp_path / "classifiers")
    assert read_json(tmp_path / "classifiers/figures.json") == {
        "a": {"mAP": 1.0},
        "b": {"mAP": 0.5},
    }
    np.testing.assert_array_equal(np.load(tmp_path / "classifiers/test-b.npy"), scores + 1)
    unwritable = ClassifierResults({"a": {"mAP": float("nan")}})
    with pytest.raises(ValueError, match="JSON"):
        unwritable.write(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    ClassifierResults().write(tmp_path / "empty")
    assert [path.name for path in (tmp_path / "empty").iterdir()] == ["figures.json"]


def test_some_are_read_with_their_reasons(tmp_path: Path) -> None:
    reasons = {"caption_only": "there are no captions", "direction_only": "nor is there a second"}
    write_left_out(tmp_path, reasons)
    assert read_left_out(tmp_path) == reasons
    assert not all_left_out(tmp_path)


def test_where_none_is_left_out_nothing_is_written(tmp_path: Path) -> None:
    write_left_out(tmp_path, {})
    assert list(tmp_path.iterdir()) == []
    assert read_left_out(tmp_path) == {}
    assert not all_left_out(tmp_path)


def test_all_are_left_out_with_the_reason_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    leave_out_all(tmp_path, "nobody asked for them")
    assert all_left_out(tmp_path)
    assert caplog.messages == [f"{tmp_path.name}: all are left out, because nobody asked for them"]


@pytest.mark.parametrize("text", ["[]", '{"all": 1}', "{"])
def test_a_damaged_note_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "left_out.json").write_text(text)
    with pytest.raises(DataError, match=r"left_out\.json"):
        all_left_out(tmp_path)
