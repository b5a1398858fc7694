"""Places of a checkpoint: real folders, a real cache, and a hub that answers on a real socket."""

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from siglip2_multimodal_hash.doctor.checkpoints import (
    Checkpoint,
    Place,
    check_checkpoint,
    check_revision,
    look_up,
)
from siglip2_multimodal_hash.params import BackboneParams
from siglip2_multimodal_hash.presets import list_presets
from tests.doctor.machines import PRESETS, ROOT, params_with

NAME = "google/siglip2-base-patch16-256"
WEIGHTS = 1_500_000_000
COMMIT = "0" * 40


class Hub(BaseHTTPRequestHandler):
    """Answers as the hub does; the repository's name says how."""

    asked: list[str] = []  # noqa: RUF012

    def do_HEAD(self) -> None:
        Hub.asked.append(f"{self.command} {self.path}")
        sharded = "sharded" in self.path
        if "private" in self.path:
            self._answer(401, {"X-Error-Code": "RepoNotFound"})
        elif "broken" in self.path:
            self._answer(503, {})
        elif "slow" in self.path:
            time.sleep(2)
        elif "empty" in self.path or (sharded and self.path.endswith("model.safetensors")):
            self._answer(404, {"X-Error-Code": "EntryNotFound"})
        elif self.path.endswith("model.safetensors"):
            # Large files lie elsewhere.
            headers = {"X-Linked-Size": str(WEIGHTS), "Location": "http://127.0.0.1:9/weights"}
            self._answer(302, headers)
        else:
            self._answer(200, {"Content-Length": "700"})

    def do_GET(self) -> None:
        Hub.asked.append(f"{self.command} {self.path}")
        self._answer(500, {})

    def _answer(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"X-Repo-Commit": COMMIT, "ETag": '"1"'} | headers).items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[str]:
    """Its address."""
    Hub.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def backbone(checkpoint: str) -> BackboneParams:
    return params_with(backbone__checkpoint=checkpoint).backbone


def found_on(hub: str, name: str, tmp_path: Path, seconds: float = 5) -> Checkpoint:
    return look_up(backbone(name), offline=False, endpoint=hub, cache=tmp_path, seconds=seconds)


def test_the_embedded_checkpoint_is_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    checkpoint = look_up(backbone("models/siglip2-tiny-patch16-128"), offline=True)
    assert checkpoint.place == "folder"
    weights = ROOT / "models/siglip2-tiny-patch16-128/model.safetensors"
    assert checkpoint.weights == weights.stat().st_size
    assert checkpoint.config is not None
    assert checkpoint.config["model_type"] == "siglip"
    assert check_checkpoint(backbone("x"), checkpoint).status == "ok"


def test_what_a_folder_lacks_is_listed(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    checkpoint = look_up(backbone(str(tmp_path)), offline=False)
    found = check_checkpoint(backbone(str(tmp_path)), checkpoint)
    assert found.status == "fail"
    for part in ("model.safetensors", "tokenizer.json", "preprocessor_config.json"):
        assert part in found.finding
    assert "config.json;" not in found.finding


@pytest.mark.parametrize("config", ["{", "[]"])
def test_a_damaged_configuration_is_no_crash(tmp_path: Path, config: str) -> None:
    for name in ("model.safetensors", "tokenizer.json", "processor_config.json"):
        (tmp_path / name).write_text("x", encoding="utf-8")
    (tmp_path / "config.json").write_text(config, encoding="utf-8")
    checkpoint = look_up(backbone(str(tmp_path)), offline=False)
    assert checkpoint.place == ("incomplete" if config == "{" else "folder")


@pytest.mark.parametrize("name", ["/no/such/folder", "./towers", "towers"])
def test_a_folder_that_is_not_there_is_not_looked_for_on_the_hub(name: str, hub: str) -> None:
    checkpoint = look_up(backbone(name), offline=False, endpoint=hub)
    assert (checkpoint.place, Hub.asked) == ("absent", [])
    assert check_checkpoint(backbone(name), checkpoint).status == "fail"


def test_the_hub_is_asked_for_sizes_alone(hub: str, tmp_path: Path) -> None:
    checkpoint = found_on(hub, NAME, tmp_path)
    assert checkpoint == Checkpoint("hub", weights=WEIGHTS, commit=COMMIT)
    assert checkpoint.download == WEIGHTS
    assert Hub.asked == [
        f"HEAD /{NAME}/resolve/main/{f}" for f in ("config.json", "model.safetensors")
    ]
    assert list(tmp_path.iterdir()) == []
    found = check_checkpoint(backbone(NAME), checkpoint)
    assert (found.status, "1.4 GiB to download" in found.finding) == ("ok", True)
    assert f"hf download {NAME} --revision main" in found.finding


def test_weights_in_several_files(hub: str, tmp_path: Path) -> None:
    checkpoint = found_on(hub, "google/sharded", tmp_path)
    assert checkpoint == Checkpoint("hub", commit=COMMIT)
    assert "unknown size" in check_checkpoint(backbone("google/sharded"), checkpoint).finding


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("google/private", "absent"),
        ("google/empty", "absent"),
        ("google/broken", "unreachable"),
        ("google/slow", "unreachable"),
    ],
)
def test_a_hub_that_has_it_not(hub: str, name: str, place: str, tmp_path: Path) -> None:
    checkpoint = found_on(hub, name, tmp_path, seconds=0.3)
    assert checkpoint.place == place
    assert check_checkpoint(backbone(name), checkpoint).status == "fail"
    assert check_checkpoint(backbone(name), checkpoint).remedy


def test_no_network(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        checkpoint = found_on(address, NAME, tmp_path)
    assert checkpoint.place == "unreachable"
    assert "network" in check_checkpoint(backbone(NAME), checkpoint).remedy


def test_a_hub_that_is_switched_off_is_not_asked(hub: str, tmp_path: Path) -> None:
    checkpoint = look_up(backbone(NAME), offline=True, endpoint=hub, cache=tmp_path)
    assert (checkpoint.place, Hub.asked) == ("offline", [])
    found = check_checkpoint(backbone(NAME), checkpoint)
    assert "HF_HUB_OFFLINE" in found.finding
    assert f"HF_HUB_OFFLINE=0 hf download {NAME} --revision main; or set HF_HOME" in found.remedy


def cached(cache: Path, *files: str) -> None:
    """A repository in the hub's cache, in its own layout."""
    repository = cache / "models--google--siglip2-base-patch16-256"
    snapshot = repository / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40, encoding="utf-8")
    for name in files:
        (snapshot / name).write_text(json.dumps({"model_type": "siglip"}), encoding="utf-8")


def test_a_complete_copy_in_the_cache_needs_no_hub(hub: str, tmp_path: Path) -> None:
    cached(
        tmp_path, "config.json", "model.safetensors", "tokenizer.json", "preprocessor_config.json"
    )
    for offline in (False, True):
        checkpoint = look_up(backbone(NAME), offline=offline, endpoint=hub, cache=tmp_path)
        assert (checkpoint.place, checkpoint.config) == ("cache", {"model_type": "siglip"})
        assert (checkpoint.download, checkpoint.commit) == (0, "a" * 40)
    assert Hub.asked == []


def test_a_partial_copy_in_the_cache_is_not_enough(hub: str, tmp_path: Path) -> None:
    cached(tmp_path, "config.json", "tokenizer.json", "preprocessor_config.json")
    assert found_on(hub, NAME, tmp_path).place == "hub"
    checkpoint = look_up(backbone(NAME), offline=True, endpoint=hub, cache=tmp_path)
    assert checkpoint.place == "offline"


def test_weights_in_several_files_must_all_be_there(tmp_path: Path) -> None:
    cached(
        tmp_path,
        "config.json",
        "model.safetensors.index.json",
        "tokenizer.json",
        "preprocessor_config.json",
        "one.safetensors",
        "two.safetensors",
    )
    (folder,) = tmp_path.glob("models--*/snapshots/*")
    index = folder / "model.safetensors.index.json"
    index.write_text('{"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}')
    one = (folder / "one.safetensors").stat().st_size
    assert look_up(backbone(NAME), offline=True, cache=tmp_path).weights == 2 * one
    assert look_up(backbone(str(folder)), offline=True).place == "folder"
    (folder / "two.safetensors").unlink()
    assert look_up(backbone(NAME), offline=True, cache=tmp_path).place == "offline"
    assert look_up(backbone(str(folder)), offline=True).detail == "missing: two.safetensors"
    index.write_text("[]")
    assert look_up(backbone(str(folder)), offline=True).place == "incomplete"


def revision(place: Place, commit: str | None, pins: dict[str, str], name: str) -> tuple[str, str]:
    chosen = backbone(NAME).model_copy(update={"revision": name})
    (found,) = check_revision(chosen, Checkpoint(place, commit=commit), pins)
    return found.status, found.finding + found.remedy


def test_a_branch_is_no_pin_and_the_commit_to_pin_is_named() -> None:
    here, preset = "a" * 40, "b" * 40
    pin = "pin it: smhash use -S backbone.revision="
    present: tuple[Place, ...] = ("cache", "hub")
    for place in present:
        status, said = revision(place, here, {NAME: preset}, "main")
        assert (status, "not pinned: main" in said, pin + here in said) == ("warn", True, True)
    assert pin + preset in revision("offline", None, {NAME: preset}, "main")[1]
    assert (
        f"{pin}COMMIT, one of https://huggingface.co/{NAME}/commits/v2"
        in revision("unreachable", None, {}, "v2")[1]
    )
    assert revision("hub", here, {}, preset) == ("ok", f"pinned to the commit {preset}")
    assert check_revision(backbone("/towers"), Checkpoint("folder"), {}) == []


def test_presets_pin_the_commits_of_the_hubs_checkpoints() -> None:
    backbones = [one.overrides for one in list_presets(PRESETS) if one.kind == "backbone"]
    revisions = {str(one["backbone.checkpoint"]): one["backbone.revision"] for one in backbones}
    on_hub = {name for name in revisions if name.startswith("google/")}
    assert len(on_hub) == 4
    assert {name for name in revisions if re.fullmatch("[0-9a-f]{40}", revisions[name])} == on_hub
