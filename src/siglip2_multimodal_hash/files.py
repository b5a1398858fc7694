"""Reading and writing of small files and arrays: whole or not at all, and never by pickle."""

import hashlib
import json
import os
import shutil
import tokenize
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.errors import DataError

# The header of an array is a Python literal: a damaged one fails in the tokenizer or the parser.
_DAMAGED_ARRAY = (ValueError, EOFError, OSError, SyntaxError, TypeError, tokenize.TokenError)


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target``; rename it to ``target`` when the block succeeds.

    The block creates a file or a folder there. When it raises (Ctrl-C included), what it wrote is
    removed and ``target`` stays as it was. An existing target is replaced, whatever it is.

    Raises:
        FileNotFoundError: The block succeeded and created nothing; ``target`` stays as it was.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.tmp-{os.getpid()}")
    remove(temporary)
    try:
        yield temporary
        if target.is_dir() or temporary.is_dir():
            _swap(temporary, target)
        else:
            temporary.replace(target)
    finally:
        remove(temporary)


def _swap(new: Path, target: Path) -> None:
    """Put ``new`` in the place of ``target``, of which at least one is a folder.

    Only files replace each other in one step. Here the old one steps aside and comes back when
    the new one cannot take its place.
    """
    old = new.with_name(f"{new.name}-old")
    remove(old)
    try:
        if os.path.lexists(target):
            target.replace(old)
        new.replace(target)
    except BaseException:
        if os.path.lexists(old) and not os.path.lexists(target):
            old.replace(target)
        raise
    remove(old)


def remove(path: Path) -> None:
    """Remove a file, a link or a whole folder; nothing where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def remembered_sha256(memory: Path) -> Iterator[Callable[[Path], str]]:
    """Yield :func:`file_sha256` that reads only files that changed since it read them last.

    Changed are those of another size, inode, or time of change of content or inode; the latter is
    nothing that a program can set back, so that no copy passes for the file that it replaced.

    Args:
        memory: A file that keeps what was read; one that is missing or damaged is made anew.
    """
    known: dict[str, list[Any]] = {}
    with suppress(DataError, AttributeError):
        known |= {key: one for key, one in read_json(memory).items() if isinstance(one, list)}

    def sha256(path: Path) -> str:
        status, key = path.stat(), str(path.resolve())
        now = [status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns]
        if known.get(key, [])[:-1] != now:
            known[key] = [*now, file_sha256(path)]
        return str(known[key][-1])

    yield sha256
    write_json(memory, known)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as JSON with sorted keys, so that equal values give equal bytes.

    Raises:
        ValueError: ``value`` holds NaN or infinity, which JSON cannot express.
    """
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    with replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Parse a JSON file.

    Raises:
        DataError: The file is missing, cannot be read or is not JSON; the message names it and
            the position.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            f"{path}: no such file", "run `dvc repro`, or check the location of the dataset"
        ) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: not valid JSON ({error})", "the file is truncated or damaged: fetch it again"
        ) from None


def save_array(path: Path, array: npt.NDArray[Any]) -> None:
    """Write one ``.npy`` file, whole or not at all."""
    with replacing(path) as temporary, temporary.open("wb") as stream:
        np.save(stream, array, allow_pickle=False)


def load_array(
    path: Path, *, memory_map: bool = False, remedy: str = "run `dvc repro`"
) -> npt.NDArray[Any]:
    """Read one ``.npy`` file.

    Args:
        path: The file.
        memory_map: Map it read-only instead of reading it into memory.
        remedy: What to do where it cannot be read.

    Raises:
        DataError: The file is missing, damaged, no ``.npy`` file, or holds Python objects.
    """
    try:
        mode: Literal["r"] | None = "r" if memory_map else None
        array = np.load(path, mmap_mode=mode, allow_pickle=False)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file", remedy) from None
    except _DAMAGED_ARRAY as error:
        raise DataError(f"{path}: not a readable .npy array ({error})", remedy) from None
    if not isinstance(array, np.ndarray):
        raise DataError(f"{path}: an archive, not a .npy array", remedy)
    return array


def main_repository() -> Path | None:
    """The root of the project whose experiment runs here in a copy of it, which DVC deletes.

    None outside of such a copy. DVC tells a stage the root; within a stage of another project it
    is that one's, so the copy must also lie where DVC puts copies.
    """
    root = os.environ.get("DVC_ROOT")
    if root and Path.cwd().resolve().is_relative_to(Path(root, ".dvc/tmp/exps").resolve()):
        return Path(root)
    return None
