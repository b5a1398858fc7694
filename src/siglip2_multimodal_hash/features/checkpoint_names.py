"""Meaning of ``backbone.checkpoint``, found without a model library."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.files import file_sha256

CONFIG = "config.json"
# Files that towers are loaded from: weights, configuration, tokenizer, processors; no README.
_READ = (".safetensors", ".json", ".model", ".txt")


def means_folder(checkpoint: str) -> bool:
    """Test whether a name is meant as a folder: asking the hub for it takes half a minute.

    Names on the hub are ``owner/name``; the folder ``owner`` would have to be here by accident.
    """
    path = Path(checkpoint)
    relative = checkpoint.startswith((".", "~"))
    return path.is_absolute() or relative or len(path.parts) != 2 or Path(path.parts[0]).is_dir()


def identify_checkpoint(
    checkpoint: str, revision: str, sha256: Callable[[Path], str] = file_sha256
) -> dict[str, Any]:
    """JSON that identifies the content of a checkpoint.

    Of a folder the SHA-256 of its files; of a name on the hub the commit that the revision means
    in the hub's cache. Where that has none, the hub is asked, and its answer goes into the cache.

    Args:
        checkpoint: ``backbone.checkpoint``.
        revision: ``backbone.revision``; a folder has none.
        sha256: Of a file, in hex.

    Raises:
        InputError: There is no such folder, or neither the cache nor the hub knows the name.
    """
    folder = Path(checkpoint)
    if folder.is_dir():
        files = sorted(path for path in folder.iterdir() if path.suffix in _READ)
        return {"files": {path.name: sha256(path) for path in files if path.is_file()}}
    if means_folder(checkpoint):
        raise unusable(checkpoint, "no such folder")
    from huggingface_hub import hf_hub_download

    try:
        commit = cached_commit(checkpoint, revision)
        if commit is None:
            commit = Path(hf_hub_download(checkpoint, CONFIG, revision=revision)).parent.name
    # No name of a repository, or whatever the HTTP library raises where there is no network.
    except Exception as error:
        raise unusable(checkpoint, first_line(error)) from error
    return {"commit": commit}


def cached_commit(name: str, revision: str) -> str | None:
    """The commit that a revision means in the hub's cache; None where the cache has no record.

    A branch moves on at the hub. Whoever loads its cached commit loads what others here loaded.
    """
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(name, CONFIG, revision=revision)
    return Path(path).parent.name if isinstance(path, str) else None


def unusable(checkpoint: str, reason: str) -> InputError:
    """The error about a checkpoint that cannot be loaded."""
    return InputError(
        f"backbone.checkpoint = {checkpoint}: cannot be loaded ({reason})",
        "give a folder with config.json, model.safetensors and the processor's files, or the "
        "name of a repository on the hub (with network, or already in its cache)",
    )


def first_line(error: Exception) -> str:
    """First line of an error's message; its type where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
