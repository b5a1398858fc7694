"""Location, size and availability of the towers' checkpoint, which is never loaded.

The hub is asked for a file's size alone (a HEAD request), and waited for a few seconds at most.
"""

import queue
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from siglip2_multimodal_hash.doctor.findings import Finding, fail, ok, warn
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.features.checkpoint_names import means_folder
from siglip2_multimodal_hash.files import read_json, size_text
from siglip2_multimodal_hash.params import BackboneParams

HUB_SECONDS = 5.0
COMMIT = re.compile("[0-9a-f]{40}")

CONFIG = "config.json"
# One file, or the list of several.
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "spiece.model")
PROCESSORS = ("preprocessor_config.json", "processor_config.json")

Place = Literal["folder", "cache", "hub", "incomplete", "absent", "offline", "unreachable"]


@dataclass(frozen=True)
class Checkpoint:
    """Location and sizes of a checkpoint.

    Attributes:
        place: ``folder``, ``cache`` (of the hub), ``hub`` (reachable there); or why it cannot be
            had: a folder that is ``incomplete``, ``absent`` altogether, only on the hub while
            that is switched off (``offline``), or ``unreachable``.
        detail: Missing files, or the hub's answer.
        weights: Bytes of the weights; None where they are not known.
        config: Content of ``config.json``; None where it is not here.
        commit: Commit that the revision means, in the hub's cache or on the hub.
    """

    place: Place
    detail: str = ""
    weights: int | None = None
    config: Mapping[str, Any] | None = None
    commit: str | None = None

    @property
    def download(self) -> int:
        """Bytes that the first use will download, as far as they are known."""
        return self.weights or 0 if self.place == "hub" else 0


def look_up(
    backbone: BackboneParams,
    *,
    offline: bool,
    endpoint: str | None = None,
    cache: Path | None = None,
    seconds: float = HUB_SECONDS,
) -> Checkpoint:
    """Find the checkpoint that ``backbone`` names.

    Args:
        backbone: ``checkpoint`` and ``revision`` are read.
        offline: Whether the hub is switched off (``HF_HUB_OFFLINE``).
        endpoint: Address of the hub; its own where this is not given.
        cache: Folder of the hub's cache; its own where this is not given.
        seconds: Time limit of the hub's answer.
    """
    name, folder = backbone.checkpoint, Path(backbone.checkpoint)
    if folder.is_dir():
        return _in_folder(folder)
    if means_folder(name):
        return Checkpoint("absent", "no such folder")
    cached = _in_cache(name, backbone.revision, cache)
    if cached is not None:
        return cached
    if offline:
        return Checkpoint("offline")
    answer = _within(seconds, lambda: _on_hub(name, backbone.revision, endpoint, seconds))
    return answer or Checkpoint("unreachable", f"no answer within {seconds:g} s")


def check_checkpoint(backbone: BackboneParams, checkpoint: Checkpoint) -> Finding:
    """Check that the towers can be loaded, and report what that will download.

    Args:
        backbone: ``checkpoint`` and ``revision`` are read.
        checkpoint: Result of :func:`look_up`.
    """
    name, title, detail = backbone.checkpoint, "checkpoint", checkpoint.detail
    size = size_text(checkpoint.weights) if checkpoint.weights else "weights of unknown size"
    download = download_command(backbone)
    other = (
        "or set HF_HOME to a folder in which another machine has done so (HF_HUB_OFFLINE=1: the "
        "hub is then never asked), or backbone.checkpoint to a folder with the checkpoint"
    )
    match checkpoint.place:
        case "folder" | "cache" as place:
            where = "a folder" if place == "folder" else "in the hub's cache"
            return ok(title, f"{name}: {where}, {size}")
        case "hub":
            return ok(title, f"{name}: on the hub, {size} to download at first use, or: {download}")
        case "incomplete":
            return fail(title, f"{name}: {detail}", "copy the whole checkpoint into the folder")
        case "absent":
            return fail(
                title,
                f"{name}: {detail}",
                "correct backbone.checkpoint or backbone.revision; `smhash use --list` shows the "
                "backbones that are known",
            )
        case "offline":
            return fail(
                title,
                f"{name}: not in the hub's cache, and the hub is switched off (HF_HUB_OFFLINE)",
                f"HF_HUB_OFFLINE=0 {download}; {other}",
            )
        case "unreachable":
            return fail(
                title,
                f"{name}: not in the hub's cache, and the hub cannot be reached ({detail})",
                f"with network: {download}; {other}",
            )


def check_revision(
    backbone: BackboneParams, checkpoint: Checkpoint, pins: Mapping[str, str]
) -> list[Finding]:
    """Check that a checkpoint of the hub is pinned to a commit; a folder has none.

    Args:
        backbone: ``checkpoint`` and ``revision`` are read.
        checkpoint: Result of :func:`look_up`.
        pins: Commits by checkpoint that presets name.
    """
    title, revision = "revision", backbone.revision
    if checkpoint.place in ("folder", "incomplete", "absent"):
        return []
    if COMMIT.fullmatch(revision):
        return [ok(title, f"pinned to the commit {revision}")]
    commit = checkpoint.commit or pins.get(backbone.checkpoint)
    page = f"COMMIT, one of https://huggingface.co/{backbone.checkpoint}/commits/{revision}"
    return [
        warn(
            title,
            f"not pinned: {revision} may mean other weights on another day or machine",
            f"pin it: smhash use -S backbone.revision={commit or page}",
        )
    ]


def download_command(backbone: BackboneParams) -> str:
    """The command that downloads a checkpoint of the hub into its cache."""
    return f"hf download {backbone.checkpoint} --revision {backbone.revision}"


def check_trained_on(name: str, checkpoint: Checkpoint, dataset: str) -> Finding | None:
    """A warning where the towers say that they know another dataset alone.

    Args:
        name: ``backbone.checkpoint``.
        checkpoint: Result of :func:`look_up`.
        dataset: ``dataset.name``.
    """
    known = (checkpoint.config or {}).get("trained_on", dataset)
    if known == dataset:
        return None
    return warn(
        "checkpoint",
        f"{name}: trained on {known} and on nothing else, but dataset.name = {dataset}",
        "smhash use siglip2-base-256, or another backbone of `smhash use --list`",
    )


def _in_folder(folder: Path) -> Checkpoint:
    groups = ((CONFIG,), WEIGHTS, TOKENIZERS, PROCESSORS)
    missing = [
        " or ".join(names) for names in groups if not any((folder / n).is_file() for n in names)
    ]
    if missing:
        return Checkpoint("incomplete", "missing: " + "; ".join(missing))
    return _local(folder, "folder")


def _in_cache(name: str, revision: str, cache: Path | None) -> Checkpoint | None:
    from huggingface_hub import try_to_load_from_cache

    def cached(file: str) -> str | None:
        # A sentinel stands for a file that the repository is known not to have.
        path = try_to_load_from_cache(name, file, cache_dir=cache, revision=revision)
        return path if isinstance(path, str) else None

    config = cached(CONFIG)
    complete = all(any(map(cached, names)) for names in (WEIGHTS, TOKENIZERS, PROCESSORS))
    found = _local(Path(config).parent, "cache") if config and complete else None
    if found is None or config is None or found.place != "cache":
        return None
    return replace(found, commit=Path(config).parent.name)


def _local(folder: Path, place: Literal["folder", "cache"]) -> Checkpoint:
    try:
        config = read_json(folder / CONFIG)
        files = [folder / WEIGHTS[0]]
        if not files[0].is_file():
            index = read_json(folder / WEIGHTS[1])
            files = [folder / name for name in sorted(set(index["weight_map"].values()))]
    except InputError as error:
        return Checkpoint("incomplete", str(error).splitlines()[0])
    except (KeyError, TypeError, AttributeError):
        return Checkpoint("incomplete", f"{WEIGHTS[1]} does not name the files of the weights")
    missing = [path.name for path in files if not path.is_file()]
    if missing:
        return Checkpoint("incomplete", "missing: " + "; ".join(missing))
    weights = sum(path.stat().st_size for path in files)
    return Checkpoint(place, weights=weights, config=config if isinstance(config, dict) else None)


def _on_hub(name: str, revision: str, endpoint: str | None, seconds: float) -> Checkpoint:
    from huggingface_hub import HfFileMetadata, get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

    def metadata(file: str) -> HfFileMetadata:
        url = hf_hub_url(name, file, revision=revision, endpoint=endpoint)
        return get_hf_file_metadata(url, token=False, timeout=seconds, endpoint=endpoint)

    try:
        commit = metadata(CONFIG).commit_hash
        try:
            return Checkpoint("hub", weights=metadata(WEIGHTS[0]).size, commit=commit)
        except EntryNotFoundError:
            # The index of several files does not give their size.
            metadata(WEIGHTS[1])
            return Checkpoint("hub", commit=commit)
    except EntryNotFoundError:
        return Checkpoint("absent", f"the hub has no {CONFIG} and {WEIGHTS[0]} there")
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403, 404):
            # Without a login the hub does not distinguish a private repository from none.
            return Checkpoint(
                "absent", f"the hub knows no such public repository or revision ({status})"
            )
        return Checkpoint("unreachable", f"HTTP status {status}")
    # Whatever the HTTP library raises where there is no network.
    except Exception as error:
        return Checkpoint("unreachable", (str(error) or type(error).__name__).splitlines()[0])


def _within(seconds: float, call: Callable[[], Checkpoint]) -> Checkpoint | None:
    """The call's result, or None if it takes longer: looking up a host has no limit of its own."""
    results: queue.Queue[Checkpoint] = queue.Queue()
    threading.Thread(target=lambda: results.put(call()), daemon=True).start()
    try:
        return results.get(timeout=2 * seconds)
    except queue.Empty:
        return None
