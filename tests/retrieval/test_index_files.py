"""Files of every kind of index: equal bytes from equal codes, and nothing else is accepted."""

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
import pytest

from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.files import read_json, write_json
from siglip2_multimodal_hash.params import (
    Flat,
    Hnsw,
    IndexParams,
    Ivf,
    Multihash,
)
from siglip2_multimodal_hash.retrieval.codes import unit_vectors
from siglip2_multimodal_hash.retrieval.index import (
    build_index,
    load_index,
    meta_path,
    save_index,
    unit_view,
)
from siglip2_multimodal_hash.retrieval.index_kinds import Kind, kind_of, name_of, resolved
from siglip2_multimodal_hash.retrieval.search import search_cosine, search_hamming

ROOT = Path(__file__).resolve().parents[2]
CODES = np.random.default_rng(3).integers(0, 256, (900, 8), dtype=np.uint8)
CODES[500:600] = CODES[100:200]
UNITS = unit_vectors(np.random.default_rng(4).standard_normal((400, 12)))
IVF = Ivf(nlist=0, nprobe=0)
HNSW = Hnsw(M=16, ef_construction=80, ef_search=64)
MULTIHASH = Multihash(nhash=0, b=0, nflip=2)
KINDS: dict[str, Kind] = {
    "ivf": IVF,
    "hnsw": Hnsw(M=6, ef_construction=33, ef_search=21),
    "multihash": MULTIHASH,
}
BUILDS = [
    *((CODES, kind) for kind in KINDS.values()),
    (UNITS, IVF),
    (UNITS, HNSW),
]
IDS = [*KINDS, "ivf-vectors", "hnsw-vectors"]


@pytest.mark.parametrize(("items", "kind"), BUILDS, ids=IDS)
def test_a_saved_index_answers_like_the_built_one(
    tmp_path: Path, items: npt.NDArray[Any], kind: Kind
) -> None:
    built, path = build_index(items, kind), tmp_path / "index.faiss"
    save_index(path, built)
    loaded = load_index(path, items, kind)
    assert (loaded.meta, loaded.kind) == (built.meta, kind)
    search = search_hamming if items is CODES else search_cosine
    found, expected = search(loaded, items, 9), search(built, items, 9)
    assert np.array_equal(found.rows, expected.rows)
    assert np.array_equal(found.similarities, expected.similarities)
    if items is UNITS:
        assert np.array_equal(unit_view(loaded), UNITS)


@pytest.mark.parametrize(("items", "kind"), BUILDS, ids=IDS)
def test_other_codes_and_other_parameters_are_refused(
    tmp_path: Path, items: npt.NDArray[Any], kind: Kind
) -> None:
    path = tmp_path / "index.faiss"
    save_index(path, build_index(items, kind))
    with pytest.raises(DataError, match=r"index\.faiss: built from other codes"):
        load_index(path, items[::-1], kind)
    with pytest.raises(DataError, match=rf"built as index\.kind = {name_of(kind)} .*, not as flat"):
        load_index(path, items)
    changed: dict[type[Kind], Kind] = {
        Ivf: Ivf(nlist=0, nprobe=2),
        Hnsw: Hnsw(M=6, ef_construction=33, ef_search=22),
        Multihash: Multihash(nhash=0, b=0, nflip=1),
    }
    with pytest.raises(DataError, match=r"built as index\.kind = .*\n.*build_faiss_index"):
        load_index(path, items, changed[type(kind)])


@pytest.mark.parametrize(("items", "kind"), BUILDS, ids=IDS)
def test_files_that_do_not_belong_together_are_refused(
    tmp_path: Path, items: npt.NDArray[Any], kind: Kind
) -> None:
    path, other = tmp_path / "index.faiss", tmp_path / "other.faiss"
    save_index(path, build_index(items, kind))
    save_index(other, build_index(items[::-1], kind))
    other.rename(path)
    with pytest.raises(DataError, match=r"holds other codes than index\.faiss\.json describes"):
        load_index(path, items, kind)
    save_index(other, build_index(items))
    other.rename(path)
    with pytest.raises(DataError, match=r"is Flat\(\), not as in index\.faiss\.json"):
        load_index(path, items, kind)
    save_index(path, build_index(items, kind))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"index\.faiss: not a readable FAISS index"):
        load_index(path, items, kind)


def test_a_lost_item_is_noticed(tmp_path: Path) -> None:
    path, index = tmp_path / "index.faiss", build_index(CODES, Ivf(nlist=5, nprobe=0))
    index.faiss_index.invlists.resize(2, 1)
    save_index(path, index)
    with pytest.raises(DataError, match=r"not a readable FAISS index .*in no cluster"):
        load_index(path, CODES, Ivf(nlist=5, nprobe=0))


def test_the_description_names_the_resolved_parameters(tmp_path: Path) -> None:
    path = tmp_path / "index.faiss"
    save_index(path, build_index(CODES, IVF))
    description = read_json(meta_path(path))
    assert description["kind"] == "ivf"
    assert description["parameters"] == {"nlist": 30, "nprobe": 4}
    save_index(path, build_index(CODES))
    assert "parameters" not in read_json(meta_path(path))
    write_json(meta_path(path), {**read_json(meta_path(path)), "parameters": [1]})
    with pytest.raises(DataError, match=r"built as index\.kind = flat \[1\]"):
        load_index(path, CODES)


def test_threads_and_processes_give_equal_bytes(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from tests.retrieval.test_index_files import BUILDS, IDS
from siglip2_multimodal_hash.retrieval.index import build_index, save_index
for (items, kind), name in zip(BUILDS, IDS):
    save_index(Path(sys.argv[1]) / name, build_index(items, kind))
"""
    digests = []
    for count in ("1", "2"):
        folder = tmp_path / count
        folder.mkdir()
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"}
        environment |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), count)
        subprocess.run([sys.executable, "-c", program, folder], check=True, env=environment)
        digests.append({p.name: hashlib.sha256(p.read_bytes()).digest() for p in folder.iterdir()})
    assert len(digests[0]) == 2 * len(BUILDS)
    assert digests[0] == digests[1]


def test_building_leaves_the_number_of_threads() -> None:
    before = faiss.omp_get_max_threads()
    build_index(CODES[:50], HNSW)
    assert faiss.omp_get_max_threads() == before


def test_zero_stands_for_a_choice_by_size() -> None:
    assert resolved(IVF, 117_218, 64) == Ivf(nlist=342, nprobe=43)
    assert resolved(Ivf(nlist=16, nprobe=0), 100, 64) == Ivf(nlist=16, nprobe=2)
    assert resolved(IVF, 1, 0) == Ivf(nlist=1, nprobe=1)
    assert resolved(MULTIHASH, 117_218, 64) == Multihash(nhash=4, b=16, nflip=2)
    assert resolved(MULTIHASH, 10**6, 16) == Multihash(nhash=1, b=16, nflip=2)
    assert resolved(Multihash(nhash=0, b=8, nflip=2), 10, 64) == Multihash(nhash=8, b=8, nflip=2)
    assert resolved(MULTIHASH, 1, 16) == Multihash(nhash=16, b=1, nflip=1)
    assert resolved(Multihash(nhash=1, b=0, nflip=2), 9, 128) == Multihash(nhash=1, b=63, nflip=2)
    assert resolved(Flat(), 5, 0) == Flat()


@pytest.mark.parametrize(
    ("items", "kind", "message"),
    [
        (CODES, Ivf(nlist=901, nprobe=0), "index.ivf.nlist = 901: the database has 900 items"),
        (CODES[:9], Ivf(nlist=0, nprobe=4), "index.ivf.nprobe = 4: there are 3 clusters"),
        (UNITS, MULTIHASH, "index.kind = multihash: hash.bits = 0 searches vectors"),
        (CODES, Multihash(nhash=5, b=13, nflip=2), "nhash = 5, index.multihash.b = 13: the pieces"),
        (CODES, Multihash(nhash=65, b=0, nflip=2), "nhash = 65, index.multihash.b = 0"),
    ],
)
def test_what_cannot_be_built_is_named(items: Any, kind: Kind, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        build_index(items, kind)


def test_the_parameters_become_the_kind() -> None:
    def params(kind: Any) -> IndexParams:
        return IndexParams(
            kind=kind,
            ivf=Ivf(nlist=9, nprobe=3),
            hnsw=Hnsw(M=4, ef_construction=5, ef_search=6),
            multihash=Multihash(nhash=2, b=8, nflip=1),
        )

    assert kind_of(params("flat")) == Flat()
    assert kind_of(params("ivf")) == Ivf(nlist=9, nprobe=3)
    assert kind_of(params("hnsw")) == Hnsw(M=4, ef_construction=5, ef_search=6)
    assert kind_of(params("multihash")) == Multihash(nhash=2, b=8, nflip=1)
