"""One file over HTTP, from a server on a real socket that misbehaves in every known way."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from siglip2_multimodal_hash.datasets.acquisition.download import Transfer, fetch
from siglip2_multimodal_hash.errors import DataError
from tests.datasets.acquisition.conftest import Answer, Server

DATA = bytes(range(256)) * 4000  # 1,024,000 bytes
OTHER = DATA[::-1]
HALF = len(DATA) // 2
HOW = Transfer(attempts=3, timeout=5.0, backoff=0.01)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_whole_file_arrives_and_nothing_else_stays(server: Server, tmp_path: Path) -> None:
    file = server.add("a.zip", DATA)
    fetch(server.url("a.zip"), tmp_path / "deep" / "a.zip", HOW, size=len(DATA))
    assert (tmp_path / "deep" / "a.zip").read_bytes() == DATA
    assert _names(tmp_path / "deep") == ["a.zip"]
    assert file.sent == len(DATA)
    assert len(file.requests) == 1


def test_a_connection_cut_mid_body_is_resumed(server: Server, tmp_path: Path) -> None:
    file = server.add("a.zip", DATA, answers=[Answer(cut_after=HALF)])
    fetch(server.url("a.zip"), tmp_path / "a.zip", HOW)
    assert (tmp_path / "a.zip").read_bytes() == DATA
    assert file.sent == len(DATA)
    assert file.requests[1]["Range"] == f"bytes={HALF}-"
    assert file.requests[1]["If-Range"] == '"one"'


def test_new_bytes_set_the_count_of_failures_back(server: Server, tmp_path: Path) -> None:
    file = server.add("a.zip", DATA, answers=[Answer(cut_after=HALF // 4)] * 7)
    fetch(server.url("a.zip"), tmp_path / "a.zip", HOW)
    assert (tmp_path / "a.zip").read_bytes() == DATA
    assert file.sent == len(DATA)


def test_a_later_run_goes_on_where_an_earlier_one_gave_up(server: Server, tmp_path: Path) -> None:
    failing = [Answer(cut_after=HALF), Answer(status=503), Answer(status=502)]
    file = server.add("a.zip", DATA, answers=failing)
    with pytest.raises(DataError, match=r"given up after 3 attempt\(s\): HTTP 502 Bad Gateway"):
        fetch(server.url("a.zip"), tmp_path / "a.zip", HOW)
    assert _names(tmp_path) == ["a.zip.part", "a.zip.part.json"]
    fetch(server.url("a.zip"), tmp_path / "a.zip", HOW)
    assert _names(tmp_path) == ["a.zip"]
    assert (tmp_path / "a.zip").read_bytes() == DATA
    assert file.sent == len(DATA)


@pytest.mark.parametrize("dated", [False, True])
def test_a_file_that_changed_in_between_is_not_glued(
    server: Server, tmp_path: Path, dated: bool
) -> None:
    """By ``If-Range``, and where the server ignores that, by the validator of its answer."""
    for ignored in (False, True):
        answers = [Answer(cut_after=HALF), Answer(status=503), Answer(status=503)]
        file = server.add("a.zip", DATA, answers=answers)
        if dated:
            file.etag, file.modified = 'W/"weak"', "Wed, 01 Jan 2014 00:00:00 GMT"
        target = tmp_path / f"{ignored}.zip"
        with pytest.raises(DataError):
            fetch(server.url("a.zip"), target, HOW)
        file.data = OTHER
        if dated:
            file.modified = "Thu, 02 Jan 2014 00:00:00 GMT"
        else:
            file.etag = '"two"'
        file.answers = [Answer(ignore_if_range=ignored)]
        fetch(server.url("a.zip"), target, HOW)
        assert target.read_bytes() == OTHER


def test_a_server_that_ignores_ranges_sends_it_all_again(server: Server, tmp_path: Path) -> None:
    file = server.add("a.zip", DATA, answers=[Answer(cut_after=HALF), Answer(ignore_range=True)])
    fetch(server.url("a.zip"), tmp_path / "a.zip", HOW)
    assert (tmp_path / "a.zip").read_bytes() == DATA
    assert file.sent == HALF + len(DATA)


def test_cuts_without_progress_come_to_an_end(server: Server, tmp_path: Path) -> None:
    file = server.add("a.zip", DATA, etag=None, answers=[Answer(cut_after=HALF)] * 9)
    with pytest.raises(DataError, match="given up after 3"):
        fetch(server.url("a.zip"), tmp_path / "a.zip", HOW)
    assert len(file.requests) == 3
    assert "Range" not in file.requests[1]


def test_without_a_validator_nothing_is_resumed(server: Server, tmp_path: Path) -> None:
    file = server.add("a.zip", DATA, etag=None, answers=[Answer(cut_after=HALF)])
    fetch(server.url("a.zip"), tmp_path / "a.zip", HOW)
    assert (tmp_path / "a.zip").read_bytes() == DATA
    assert file.sent == HALF + len(DATA)


def test_another_address_starts_anew(server: Server, tmp_path: Path) -> None:
    server.add("a.zip", DATA, answers=[Answer(cut_after=HALF), *[Answer(status=500)] * 2])
    server.add("b.zip", OTHER)
    with pytest.raises(DataError):
        fetch(server.url("a.zip"), tmp_path / "a.zip", HOW)
    fetch(server.url("b.zip"), tmp_path / "a.zip", HOW)
    assert (tmp_path / "a.zip").read_bytes() == OTHER


def test_a_file_that_shrank_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    """The same ETag on purpose: then only 416 tells."""
    answers = [Answer(cut_after=HALF), Answer(status=503), Answer(status=503)]
    file = server.add("a.zip", DATA, answers=answers)
    with pytest.raises(DataError):
        fetch(server.url("a.zip"), tmp_path / "a.zip", HOW)
    file.data = OTHER[:1000]
    fetch(server.url("a.zip"), tmp_path / "a.zip", HOW)
    assert (tmp_path / "a.zip").read_bytes() == OTHER[:1000]


def test_a_wrong_size_is_refused_before_the_first_byte(server: Server, tmp_path: Path) -> None:
    file = server.add("a.zip", DATA)
    with pytest.raises(DataError, match="the server has 1024000 bytes instead of 7") as caught:
        fetch(server.url("a.zip"), tmp_path / "a.zip", HOW, size=7)
    assert "--accept-changed" in str(caught.value)
    assert _names(tmp_path) == []
    assert len(file.requests) == 1


def test_a_refusal_is_final(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.zip: HTTP 404 Not Found") as caught:
        fetch(server.url("absent.zip"), tmp_path / "a.zip", HOW)
    assert "runtime.download" in str(caught.value)
    assert _names(tmp_path) == []


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/a.zip", "http://127.0.0.1:port/a.zip", "a.zip"])
def test_an_address_that_cannot_be_is_final(tmp_path: Path, url: str) -> None:
    with pytest.raises(DataError, match="cannot be fetched"):
        fetch(url, tmp_path / "a.zip", HOW)


def test_nobody_listening_is_given_up(server: Server, tmp_path: Path) -> None:
    url = server.url("a.zip")
    server.stop()
    with pytest.raises(DataError, match="given up after 3"):
        fetch(url, tmp_path / "a.zip", HOW)
    assert _names(tmp_path) == []


def test_the_server_says_when_to_come_again(server: Server, tmp_path: Path) -> None:
    busy = Answer(status=503, headers={"Retry-After": "1"})
    server.add("a.zip", DATA, answers=[busy])
    began = time.monotonic()
    fetch(server.url("a.zip"), tmp_path / "a.zip", HOW)
    assert time.monotonic() - began >= 1
    server.add("b.zip", DATA, answers=[Answer(status=429, headers={"Retry-After": "3600"})])
    with pytest.raises(DataError, match="asks to wait 3600 s"):
        fetch(server.url("b.zip"), tmp_path / "b.zip", HOW)


def test_a_size_that_is_not_announced_is_accepted(server: Server, tmp_path: Path) -> None:
    server.add("a.zip", DATA, answers=[Answer(announce_length=False)])
    fetch(server.url("a.zip"), tmp_path / "a.zip", HOW)
    assert (tmp_path / "a.zip").read_bytes() == DATA


def test_a_disk_too_small_is_found_before_the_first_byte(
    server: Server, tmp_path: Path, leave_free: Callable[[int], None]
) -> None:
    server.add("a.zip", DATA)
    leave_free(len(DATA) - 1)
    with pytest.raises(
        DataError, match=r"a\.zip needs [\d.]+ KiB and the disk has [\d.]+ KiB free"
    ):
        fetch(server.url("a.zip"), tmp_path / "a.zip", HOW)
    assert _names(tmp_path) == []
    leave_free(len(DATA))
    fetch(server.url("a.zip"), tmp_path / "a.zip", HOW)


def test_what_is_here_already_needs_no_space(
    server: Server, tmp_path: Path, leave_free: Callable[[int], None]
) -> None:
    server.add("a.zip", DATA, answers=[Answer(cut_after=HALF), *[Answer(status=500)] * 2])
    with pytest.raises(DataError):
        fetch(server.url("a.zip"), tmp_path / "a.zip", HOW)
    leave_free(len(DATA) - HALF)
    fetch(server.url("a.zip"), tmp_path / "a.zip", HOW)
    assert (tmp_path / "a.zip").read_bytes() == DATA


def test_what_does_not_pass_the_check_is_removed(server: Server, tmp_path: Path) -> None:
    server.add("a.zip", DATA)

    def refuse(path: Path) -> None:
        assert path.read_bytes() == DATA
        raise DataError("not this one")

    with pytest.raises(DataError, match="not this one"):
        fetch(server.url("a.zip"), tmp_path / "a.zip", HOW, check=refuse)
    assert _names(tmp_path) == []


SCRIPT = """
import signal
import sys
from pathlib import Path
from siglip2_multimodal_hash.datasets.acquisition.download import Transfer, fetch
from siglip2_multimodal_hash.errors import run_guarded
# A shell that starts the tests in the background has it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
run_guarded(lambda: fetch(sys.argv[1], Path(sys.argv[2]), Transfer(timeout=60.0)))
"""


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_process_that_is_stopped_leaves_what_a_next_one_resumes(
    server: Server, tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    """Ctrl-C and `kill -9` while the server is silent in the middle of the file."""
    big = DATA * 8
    file = server.add("a.zip", big, answers=[Answer(cut_after=len(big) // 2, hang=True)])
    target = tmp_path / "a.zip"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, "-c", SCRIPT, server.url("a.zip"), str(target)]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment)
    part = tmp_path / "a.zip.part"
    until = time.monotonic() + 60
    # All that the server says has arrived but for what lies in the process's buffer.
    while not part.exists() or part.stat().st_size < len(big) // 2 - 2**20:
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(sent)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == code, said
    assert "Traceback" not in said
    here = part.stat().st_size
    assert not target.exists()
    fetch(server.url("a.zip"), target, HOW)
    assert target.read_bytes() == big
    assert file.requests[1]["Range"] == f"bytes={here}-"
    assert file.sent <= len(big) + 2**20
