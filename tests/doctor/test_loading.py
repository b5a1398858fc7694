"""One image and one caption through the towers on the device."""

import re
from pathlib import Path

import pytest

from siglip2_multimodal_hash.doctor import loading
from siglip2_multimodal_hash.doctor.checkpoints import Checkpoint
from siglip2_multimodal_hash.doctor.loading import check_loading
from siglip2_multimodal_hash.params import IMPORTED
from tests.doctor.machines import ROOT, params_with

FOLDER = Checkpoint("folder")


@pytest.fixture(autouse=True)
def _root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("preset", ["siglip2-tiny", "siglip2-tiny-naflex"])
def test_the_embedded_towers_run(preset: str) -> None:
    found = check_loading(params_with(preset, runtime__device="cpu"), FOLDER)
    assert found.status == "ok", found
    assert re.fullmatch(
        rf"{preset} on cpu: loaded in [\d.]+ s; one image and one caption to 128 and 128 values in "
        r"[\d.]+ s, again in [\d.]+ s; [\d.]+ [KM]?i?B more of main memory",
        found.finding,
    )


def test_a_damaged_checkpoint_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    found = check_loading(params_with(backbone__checkpoint=str(tmp_path)), FOLDER)
    assert (found.status, "cannot be loaded" in found.finding) == ("fail", True)


def test_too_little_memory_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: not enough memory")

    monkeypatch.setattr(loading, "load_towers", full)
    found = check_loading(params_with(), FOLDER)
    assert (found.status, "out of memory with one image" in found.finding) == ("fail", True)


def test_nothing_is_downloaded() -> None:
    found = check_loading(params_with("siglip2-base-256"), Checkpoint("hub"))
    assert found.status == "warn"
    assert found.remedy.startswith(
        "hf download google/siglip2-base-patch16-256 --revision 3f9f96cb"
    )


def test_imported_features_have_no_towers() -> None:
    changes = {"backbone__revision": "0" * 64, "runtime__features_folder": "/features"}
    params = params_with(backbone__checkpoint=IMPORTED, **changes)
    assert check_loading(params, FOLDER).status == "ok"
