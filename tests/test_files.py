"""Files are written whole or not at all, and only JSON and plain arrays are read."""

import contextlib
import hashlib
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from siglip2_multimodal_hash.arrays import load_array, save_array
from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.files import (
    Ours,
    read_json,
    remembered_sha256,
    replacing,
    size_text,
    write_json,
    write_text,
)
from tests.places import FREE, PLACES, everything, place

INTERRUPTIONS = [KeyboardInterrupt, SystemExit, ValueError]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def make_file(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def make_folder(path: Path, text: str) -> None:
    path.mkdir()
    make_file(path / "inside.txt", text)


def content(path: Path) -> tuple[bool, str]:
    """Kind of a path: folder or not, and the text in it."""
    inside = path / "inside.txt"
    return path.is_dir(), (inside if path.is_dir() else path).read_text(encoding="utf-8")


MAKERS = [make_file, make_folder]
Maker = Callable[[Path, str], None]


def ours(folder: Path) -> bool:
    return names(folder) == ["inside.txt"]


@pytest.mark.parametrize("make", MAKERS)
def test_a_new_target_appears_with_its_parents(tmp_path: Path, make: Maker) -> None:
    target = tmp_path / "a" / "b" / "target"
    with replacing(target) as temporary:
        make(temporary, "new")
        assert not target.exists()
    assert content(target)[1] == "new"
    assert names(target.parent) == ["target"]


OUTPUTS = [(make_file, None), (make_folder, ours)]


@pytest.mark.parametrize(("make", "known"), OUTPUTS)
def test_an_old_target_of_the_same_kind_is_replaced(
    tmp_path: Path, make: Maker, known: Ours | None
) -> None:
    target = tmp_path / "target"
    make(target, "old")
    with replacing(target, ours=known) as temporary:
        make(temporary, "new")
        assert content(target)[1] == "old"
    assert content(target)[1] == "new"
    assert names(tmp_path) == ["target"]


@pytest.mark.parametrize("kind", PLACES)
def test_what_lies_in_the_place_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Nothing is removed or replaced but a regular file that was named."""
    project = tmp_path / "project"
    (project / ".git").mkdir(parents=True)
    monkeypatch.chdir(project)
    with place(kind, project) as target:
        before = everything(tmp_path)
        if kind in (*FREE, "file"):
            write_text(target, "new")
            assert target.read_text() == "new"
            made = {(project / one).resolve() for one in (target, *target.parents)}
        else:
            with pytest.raises(InputError, match=f"^{target}: "):
                write_text(target, "new")
            made = set()
        after = everything(tmp_path)
        for path in (str(one.relative_to(tmp_path)) for one in made):
            before.pop(path, None)
            after.pop(path, None)
        assert after == before


def test_rights_of_a_file_stay(tmp_path: Path) -> None:
    target = tmp_path / "target"
    make_file(target, "old")
    target.chmod(0o600)
    write_text(target, "new")
    assert target.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("error", INTERRUPTIONS)
@pytest.mark.parametrize("make", MAKERS)
def test_failure_leaves_nothing(tmp_path: Path, make: Maker, error: type[BaseException]) -> None:
    def fail() -> None:
        with replacing(tmp_path / "target") as temporary:
            make(temporary, "half")
            raise error

    with pytest.raises(error):
        fail()
    assert names(tmp_path) == []


@pytest.mark.parametrize("error", INTERRUPTIONS)
@pytest.mark.parametrize(("make", "known"), OUTPUTS)
def test_failure_leaves_the_old_target(
    tmp_path: Path, make: Maker, known: Ours | None, error: type[BaseException]
) -> None:
    target = tmp_path / "target"
    make(target, "old")

    def fail() -> None:
        with replacing(target, ours=known) as temporary:
            make(temporary, "half")
            raise error

    with pytest.raises(error):
        fail()
    assert content(target)[1] == "old"
    assert names(tmp_path) == ["target"]


@pytest.mark.parametrize(("make", "known"), OUTPUTS)
def test_a_block_that_makes_nothing_keeps_the_old_target(
    tmp_path: Path, make: Maker, known: Ours | None
) -> None:
    target = tmp_path / "target"
    make(target, "old")
    with pytest.raises(FileNotFoundError), replacing(target, ours=known):
        pass
    assert content(target)[1] == "old"
    assert names(tmp_path) == ["target"]


def test_ctrl_c_at_the_last_moment_brings_the_old_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "target"
    make_folder(target, "old")
    rename = Path.replace

    def interrupted(self: Path, goal: Path) -> Path:
        if goal == target and content(self)[1] == "new":
            raise KeyboardInterrupt
        return rename(self, goal)

    monkeypatch.setattr(Path, "replace", interrupted)

    def replace() -> None:
        with replacing(target, ours=ours) as temporary:
            make_folder(temporary, "new")

    with pytest.raises(KeyboardInterrupt):
        replace()
    assert content(target) == (True, "old")
    assert names(tmp_path) == ["target"]


@pytest.mark.parametrize("new", MAKERS)
def test_what_comes_while_the_block_runs_is_not_replaced(tmp_path: Path, new: Maker) -> None:
    target = tmp_path / "target"

    def late() -> None:
        with replacing(target) as temporary:
            new(temporary, "new")
            make_folder(target, "the user's")

    with pytest.raises(InputError, match="target: a folder is there"):
        late()
    assert content(target) == (True, "the user's")
    assert names(tmp_path) == ["target"]


def test_what_a_killed_process_left_is_left(tmp_path: Path) -> None:
    left = f".target.tmp-{os.getpid()}"
    make_folder(tmp_path / left, "left over")
    with replacing(tmp_path / "target") as temporary:
        make_file(temporary, "new")
    assert names(tmp_path) == [left, "target"]


def test_a_name_of_the_longest_kind(tmp_path: Path) -> None:
    write_text(tmp_path / ("é" * 127), "new")
    with pytest.raises(InputError, match="File name too long"):
        write_text(tmp_path / ("é" * 128), "new")
    assert names(tmp_path) == ["é" * 127]


def test_equal_values_give_equal_json(tmp_path: Path) -> None:
    write_json(tmp_path / "one.json", {"b": 1.5, "a": ["é", None]})
    write_json(tmp_path / "two.json", {"a": ["é", None], "b": 1.5})
    data = (tmp_path / "one.json").read_bytes()
    assert data == (tmp_path / "two.json").read_bytes()
    assert data.decode() == '{\n  "a": [\n    "é",\n    null\n  ],\n  "b": 1.5\n}\n'
    assert read_json(tmp_path / "one.json") == {"a": ["é", None], "b": 1.5}


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_json_takes_no_nan(tmp_path: Path, number: float) -> None:
    path = tmp_path / "value.json"
    write_json(path, "old")
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, {"mAP": number})
    assert read_json(path) == "old"
    assert names(tmp_path) == ["value.json"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b'{"a": ', "line 1 column 7"), (b"", "line 1 column 1"), (b'"\xff"', "0xff")],
)
def test_damaged_json_is_named_with_its_position(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "damaged.json"
    path.write_bytes(data)
    with pytest.raises(DataError) as caught:
        read_json(path)
    assert str(path) in str(caught.value)
    assert reason in str(caught.value)


@pytest.mark.parametrize("read", [read_json, load_array])
def test_a_missing_file_or_a_folder_is_named(tmp_path: Path, read: Callable[[Path], Any]) -> None:
    with pytest.raises(DataError, match=r"absent\.file: no such file\n  -> run `dvc repro`"):
        read(tmp_path / "absent.file")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="folder"):
        read(tmp_path / "folder")


@pytest.mark.parametrize("memory_map", [False, True])
@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=np.float32).reshape(3, 4),
        np.zeros((0, 8), dtype=np.uint8),
        np.arange(5, dtype=np.int64),
    ],
    ids=["matrix", "empty", "vector"],
)
def test_arrays_come_back_as_they_were(
    tmp_path: Path, array: npt.NDArray[Any], memory_map: bool
) -> None:
    path = tmp_path / "array.npy"
    save_array(path, array)
    loaded = load_array(path, memory_map=memory_map)
    assert loaded.dtype == array.dtype
    assert np.array_equal(loaded, array)
    assert loaded.flags.writeable != memory_map


def test_python_objects_are_neither_written_nor_read(tmp_path: Path) -> None:
    objects = np.array([{"a": 1}, None], dtype=object)
    with pytest.raises(ValueError, match="allow_pickle"):
        save_array(tmp_path / "objects.npy", objects)
    assert names(tmp_path) == []
    np.save(tmp_path / "objects.npy", objects, allow_pickle=True)
    (tmp_path / "bare.npy").write_bytes(pickle.dumps([1, 2]))
    for name in ("objects.npy", "bare.npy"):
        for memory_map in (False, True):
            with pytest.raises(DataError, match=rf"{name}: not a readable \.npy array"):
                load_array(tmp_path / name, memory_map=memory_map)


def test_an_archive_is_no_array(tmp_path: Path) -> None:
    np.savez(tmp_path / "arrays.npz", a=np.arange(3))
    with pytest.raises(DataError, match=r"arrays\.npz: an archive"):
        load_array(tmp_path / "arrays.npz")


@pytest.mark.parametrize("memory_map", [False, True])
def test_no_part_of_an_array_is_taken_for_the_whole(tmp_path: Path, memory_map: bool) -> None:
    path = tmp_path / "array.npy"
    save_array(path, np.arange(6, dtype=np.float32))
    data = path.read_bytes()
    for length in (0, 4, 40, 127, 128, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(DataError, match=r"array\.npy: not a readable"):
            load_array(path, memory_map=memory_map)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 127), value=st.integers(0, 255), memory_map=st.booleans())
def test_a_damaged_header_gives_an_array_or_a_named_error(
    tmp_path: Path, place: int, value: int, memory_map: bool
) -> None:
    path = tmp_path / "array.npy"
    save_array(path, np.arange(12, dtype=np.float32).reshape(3, 4))
    data = bytearray(path.read_bytes())
    data[place] = value
    path.write_bytes(data)
    # Every other exception would fail the test.
    with contextlib.suppress(DataError):
        assert isinstance(load_array(path, memory_map=memory_map), np.ndarray)


def test_files_are_read_again_where_they_changed(tmp_path: Path) -> None:
    memory, file = tmp_path / "memory.json", tmp_path / "file"

    def digest() -> str:
        with remembered_sha256(memory) as sha256:
            return sha256(file)

    file.write_bytes(b"old")
    old = hashlib.sha256(b"old").hexdigest()
    assert digest() == old
    before = file.stat()
    # From memory: what it holds is given out.
    memory.write_text(memory.read_text().replace(old, "remembered"))
    assert digest() == "remembered"
    # As large and as old as before.
    file.write_bytes(b"new")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert digest() == hashlib.sha256(b"new").hexdigest()
    for damaged in ("{", "[1]", json.dumps({str(file.resolve()): 1})):
        memory.write_text(damaged)
        assert digest() == hashlib.sha256(b"new").hexdigest()


@pytest.mark.parametrize(
    ("size", "text"),
    [(25, "25 B"), (85_585_987, "81.6 MiB"), (16 * 2**30, "16.0 GiB"), (2**42, "4.0 TiB")],
)
def test_sizes_are_told_in_the_unit_that_suits(size: int, text: str) -> None:
    assert size_text(size) == text
