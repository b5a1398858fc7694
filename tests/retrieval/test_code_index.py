"""FAISS indexes on disk: what was written is what is read, and nothing else is accepted."""

from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
import pytest

from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.files import read_json, write_json
from siglip2_multimodal_hash.retrieval.codes import unit_vectors
from siglip2_multimodal_hash.retrieval.index import (
    build_index,
    load_index,
    meta_path,
    on_gpu,
    save_index,
    unit_view,
)
from siglip2_multimodal_hash.retrieval.search import search_hamming


def some_codes(count: int = 50, width: int = 8) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (count, width), dtype=np.uint8)


def some_units(count: int = 50, dim: int = 12) -> npt.NDArray[np.float32]:
    return unit_vectors(np.random.default_rng(4).standard_normal((count, dim)))


@pytest.mark.parametrize("codes", [some_codes(), some_units()], ids=["codes", "vectors"])
def test_a_saved_index_answers_like_the_built_one(tmp_path: Path, codes: npt.NDArray[Any]) -> None:
    built = build_index(codes)
    save_index(tmp_path / "index.faiss", built)
    loaded = load_index(tmp_path / "index.faiss", codes)
    assert loaded.meta == built.meta
    for one, other in zip(
        built.faiss_index.search(codes, 5), loaded.faiss_index.search(codes, 5), strict=True
    ):
        assert np.array_equal(one, other)


def test_the_description_says_what_is_inside(tmp_path: Path) -> None:
    save_index(tmp_path / "codes.faiss", build_index(some_codes()))
    meta = read_json(tmp_path / "codes.faiss.json")
    assert {**meta, "fingerprint": ""} == {
        "kind": "flat",
        "bits": 64,
        "dim": 0,
        "count": 50,
        "fingerprint": "",
    }
    vectors = build_index(some_units()).meta
    assert (vectors.bits, vectors.dim, vectors.count) == (0, 12, 50)


def test_equal_codes_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        save_index(tmp_path / name, build_index(some_codes()))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert meta_path(tmp_path / "one").read_bytes() == meta_path(tmp_path / "two").read_bytes()


def test_an_index_of_other_codes_is_refused(tmp_path: Path) -> None:
    codes, path = some_codes(), tmp_path / "index.faiss"
    save_index(path, build_index(codes))
    changed = codes.copy()
    changed[17, 3] ^= 1
    with pytest.raises(DataError, match=r"index\.faiss: built from other codes"):
        load_index(path, changed)


def test_an_index_beside_the_description_of_another_is_refused(tmp_path: Path) -> None:
    codes, path = some_codes(), tmp_path / "index.faiss"
    save_index(path, build_index(codes[::-1]))
    write_json(meta_path(path), read_json_of_other(tmp_path, codes))
    with pytest.raises(DataError, match=r"index\.faiss: holds other codes than index\.faiss\.json"):
        load_index(path, codes)


def read_json_of_other(folder: Path, codes: npt.NDArray[Any]) -> Any:
    save_index(folder / "other.faiss", build_index(codes))
    return read_json(meta_path(folder / "other.faiss"))


def test_a_truncated_index_is_refused(tmp_path: Path) -> None:
    codes, path = some_codes(), tmp_path / "index.faiss"
    save_index(path, build_index(codes))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match=r"index\.faiss: not a readable FAISS index"):
        load_index(path, codes)


def test_a_float_index_under_a_binary_description_is_refused(tmp_path: Path) -> None:
    codes, path = some_codes(), tmp_path / "index.faiss"
    save_index(path, build_index(codes))
    faiss.write_index(build_index(some_units()).faiss_index, str(path))
    with pytest.raises(DataError, match=r"index\.faiss"):
        load_index(path, codes)


def test_missing_files_are_named(tmp_path: Path) -> None:
    codes, path = some_codes(), tmp_path / "index.faiss"
    with pytest.raises(DataError, match=r"index\.faiss\.json: no such file"):
        load_index(path, codes)
    save_index(path, build_index(codes))
    path.unlink()
    with pytest.raises(DataError, match=r"index\.faiss: no such file"):
        load_index(path, codes)


def test_a_description_with_other_keys_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "index.faiss"
    write_json(meta_path(path), {"bits": 64})
    with pytest.raises(DataError, match="not a description of an index"):
        load_index(path, some_codes())


def test_vectors_must_be_of_unit_length_or_zero() -> None:
    units = some_units()
    units[0] = 0
    build_index(units)
    units[7] *= 2
    with pytest.raises(DataError, match="row 7 has length 2, not 1"):
        build_index(units)


def test_an_empty_database_is_refused() -> None:
    with pytest.raises(InputError, match="database is empty"):
        build_index(np.zeros((0, 8), dtype=np.uint8))


def test_the_vectors_of_an_index_are_seen_without_a_copy() -> None:
    units = some_units()
    assert np.array_equal(unit_view(build_index(units)), units)
    with pytest.raises(DataError, match="holds codes, not vectors"):
        unit_view(build_index(some_codes()))


def test_a_gpu_is_used_where_faiss_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    index = build_index(some_codes())
    expected = search_hamming(index, some_codes(), 5)
    asked = []

    def fake_gpu_index(resources: str, cpu_index: Any) -> Any:
        asked.append(resources)
        return cpu_index

    monkeypatch.setattr(faiss, "GpuIndexBinaryFlat", fake_gpu_index, raising=False)
    monkeypatch.setattr(faiss, "StandardGpuResources", lambda: "resources", raising=False)
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 0)
    assert on_gpu(index) is index.faiss_index
    assert not asked
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
    found = search_hamming(index, some_codes(), 5)
    assert asked == ["resources"]
    assert np.array_equal(found.rows, expected.rows)
