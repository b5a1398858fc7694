"""Identity of a checkpoint's content: a folder's digests, a hub's commit."""

import hashlib
import shutil
from pathlib import Path

import pytest
import torch

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.features.checkpoint_names import cached_commit, identify_checkpoint
from siglip2_multimodal_hash.features.meta import describe
from siglip2_multimodal_hash.features.towers import load_towers
from tests.parameters import PARAMS

OLD, NEW = "a" * 40, "b" * 40


def cached(cache: Path, commit: str) -> None:
    """Put a configuration into the hub's cache, and let `main` be that commit."""
    repository = cache / "models--owner--name"
    (repository / "snapshots" / commit).mkdir(parents=True)
    (repository / "snapshots" / commit / "config.json").write_text("{}")
    (repository / "refs").mkdir(exist_ok=True)
    (repository / "refs" / "main").write_text(commit)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a hub that is switched off."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path


def test_a_folder_is_what_towers_are_loaded_from(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "README.md").write_text("no part of it")
    (tmp_path / "old.json").mkdir()
    expected = {"model.safetensors": hashlib.sha256(b"weights").hexdigest()}
    assert identify_checkpoint(str(tmp_path), "main") == {"files": expected}


def test_a_branch_is_its_cached_commit(cache: Path) -> None:
    cached(cache, OLD)
    assert identify_checkpoint("owner/name", "main") == {"commit": OLD}
    cached(cache, NEW)
    assert identify_checkpoint("owner/name", "main") == {"commit": NEW}
    assert identify_checkpoint("owner/name", OLD) == {"commit": OLD}
    assert cached_commit("owner/name", "other") is None


def test_embeddings_tell_the_commit_of_their_towers(
    cache: Path, checkpoints: dict[str, Path]
) -> None:
    cached(cache, OLD)
    shutil.copytree(
        checkpoints["siglip"], cache / f"models--owner--name/snapshots/{OLD}", dirs_exist_ok=True
    )
    for revision in ("main", OLD):
        names = {"checkpoint": "owner/name", "revision": revision}
        backbone = PARAMS.backbone.model_copy(update=names)
        meta = describe(backbone, load_towers(backbone, torch.device("cpu")), {})
        assert (meta["revision"], meta["commit"]) == (revision, OLD)


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("name", ["/no/such/folder", "owner/name", "own er/na me"])
def test_what_cannot_be_found_is_one_message(name: str) -> None:
    with pytest.raises(InputError, match=f"backbone.checkpoint = {name}: cannot be loaded"):
        identify_checkpoint(name, "main")
