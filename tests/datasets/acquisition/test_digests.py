"""Digests of downloads: noted once, compared ever after."""

import json
from pathlib import Path

import pytest

from siglip2_multimodal_hash.datasets.acquisition.digests import (
    Known,
    Notes,
    check_same,
    measure,
)
from siglip2_multimodal_hash.errors import DataError

# FIPS 180-4's example.
ABC = Known(3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "http://x/abc")


def test_measures_size_and_digest(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert measure(tmp_path / "abc", "http://x/abc", name="abc") == ABC


def test_notes_are_kept_by_name(tmp_path: Path) -> None:
    notes = Notes(tmp_path)
    assert notes.get("images/a.zip") is None
    notes.put("images/a.zip", ABC)
    notes.put("b.zip", Known(4, "0", "http://x/b"))
    assert Notes(tmp_path).get("images/a.zip") == ABC
    assert json.loads((tmp_path / "downloads.json").read_text())["b.zip"]["bytes"] == 4


@pytest.mark.parametrize("text", ["[]", "{", '{"a": {"bytes": "x"}}', '{"a": 3}'])
def test_damaged_notes_are_one_message(tmp_path: Path, text: str) -> None:
    (tmp_path / "downloads.json").write_text(text)
    with pytest.raises(DataError, match=r"downloads\.json"):
        Notes(tmp_path).get("a")


def test_a_difference_says_how_to_accept_it() -> None:
    check_same("abc", ABC, Known(3, ABC.sha256, "http://mirror/abc"), noted=True)
    for other in (Known(3, "0" * 64, ""), Known(4, ABC.sha256, "")):
        with pytest.raises(DataError, match=r"notes from its first download") as caught:
            check_same("abc", ABC, other, noted=True)
        assert "--accept-changed" in str(caught.value)
    with pytest.raises(DataError, match="is published 3 bytes and 000"):
        check_same("abc", ABC, Known(3, "0" * 64, ""), noted=False)
