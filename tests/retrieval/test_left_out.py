"""The note of the baselines that were not trained."""

import logging
from pathlib import Path

import pytest

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.retrieval.left_out import (
    all_left_out,
    leave_out_all,
    read_left_out,
    write_left_out,
)


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
