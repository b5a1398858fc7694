"""Reading and writing of small files: whole or not at all.

What an output may take the place of is decided here, by :func:`require_free`, and nowhere else.
"""

import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from siglip2_multimodal_hash.errors import DataError, InputError

Ours = Callable[[Path], bool]

# In the folder of unfinished work; see :mod:`.resume`.
PROGRESS = "progress.json"

_LONGEST_PREFIX = 32
_ELSEWHERE = "name another place, or move away what is there"


def require_free(target: Path, *, ours: Ours | None = None, inputs: Iterable[Path] = ()) -> None:
    """Refuse an output in whose place anything lies that must not be lost.

    Nothing may lie there, or one of two things: where the output is a file, a regular file that
    can be written, for it was named; where it is a folder, an empty one, or one that ``ours``
    knows. Never a link, a mount point, a device or an input. Call it before the work begins.

    Args:
        target: Path of the output.
        ours: Tells a folder that the project made, for an output that is one; None for a file, or
            for a folder that replaces none.
        inputs: Files, and folders of them, that the output must not replace.

    Raises:
        InputError: The place is not free.
    """
    try:
        mode = os.lstat(target).st_mode
    except FileNotFoundError:
        above = next(path for path in target.absolute().parents if os.path.lexists(path))
        if not above.is_dir():
            raise InputError(f"{target}: {above} is no folder", _ELSEWHERE) from None
        return
    except OSError as error:
        raise _unwritable(target, error) from None
    if stat.S_ISLNK(mode):
        raise InputError(
            f"{target}: a symbolic link, and no output takes the place of one",
            f"it leads to {os.path.realpath(target)}: name that, or put the file itself here",
        )
    if stat.S_ISDIR(mode):
        if ours is None or os.path.ismount(target) or not _is_ours(target, ours):
            raise InputError(
                f"{target}: a folder is there, and no output takes its place", _ELSEWHERE
            )
        return
    if ours is not None or not stat.S_ISREG(mode) or os.path.ismount(target):
        kind = "a file" if ours is not None else "no regular file"
        raise InputError(f"{target}: {kind}, and no output takes its place", _ELSEWHERE)
    if not mode & 0o222 or not os.access(target, os.W_OK):
        raise InputError(f"{target}: read-only", f"`chmod u+w {target}`")
    if _is_among(target, inputs):
        raise InputError(f"{target}: an input, and no output takes its place", _ELSEWHERE)


def holds_only(pattern: str) -> Ours:
    """Rule for ``ours``: every name in the folder matches the pattern."""
    return lambda folder: all(re.fullmatch(pattern, name) for name in os.listdir(folder))


def _is_ours(folder: Path, ours: Ours) -> bool:
    try:
        return not os.listdir(folder) or ours(folder)
    except OSError:
        return False


def _is_among(target: Path, inputs: Iterable[Path]) -> bool:
    """Test whether a file is one of the inputs, under whatever name, or lies in one."""
    places = {_identity(place) for place in (target, *target.resolve().parents)}
    for one in inputs:
        with suppress(OSError):
            if _identity(one) in places:
                return True
    return False


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(
        f"{path}: cannot be written ({error.strerror or error})",
        "check the folder, its rights and the space on its disk, or name another place",
    )


@contextmanager
def replacing(
    target: Path, *, ours: Ours | None = None, inputs: Iterable[Path] = ()
) -> Iterator[Path]:
    """Yield a temporary path near ``target``; rename it to ``target`` when the block succeeds.

    The block creates a file or a folder there. When it raises (Ctrl-C included), what it wrote is
    removed and ``target`` stays as it was.

    Args:
        target: Path of the output.
        ours: See :func:`require_free`, which is asked before the block and after it.
        inputs: See there.

    Raises:
        InputError: The place is not free.
        FileNotFoundError: The block succeeded and created nothing; ``target`` stays as it was.
    """
    require_free(target, ours=ours, inputs=inputs)
    prefix = f".{target.name[:_LONGEST_PREFIX]}.tmp-{os.getpid()}-"
    target.parent.mkdir(parents=True, exist_ok=True)
    # Made now, under a name of its own: nothing else can lie in there.
    scratch = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
    try:
        new = scratch / "new"
        yield new
        os.lstat(new)
        require_free(target, ours=ours, inputs=inputs)
        _put(new, target, scratch / "old")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _put(new: Path, target: Path, old: Path) -> None:
    """Rename ``new`` to ``target``.

    Only a file replaces another one in one step. A folder steps aside to ``old``, and comes back
    when the new one cannot take its place.
    """
    if target.is_file():
        shutil.copymode(target, new)
    try:
        if target.is_dir():
            target.replace(old)
        new.replace(target)
    except BaseException:
        if old.exists() and not os.path.lexists(target):
            old.replace(target)
        raise


def write_text(path: Path, text: str, *, inputs: Iterable[Path] = ()) -> None:
    """Write UTF-8 text as it is, line ends included, whole or not at all.

    Raises:
        InputError: The place is not free, see :func:`require_free`, or cannot be written.
    """
    try:
        with replacing(path, inputs=inputs) as temporary:
            temporary.write_bytes(text.encode())
    except OSError as error:
        raise _unwritable(path, error) from None


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
        memory: A file that keeps what was read; one that is missing or damaged is made again.
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


def read_json(path: Path, remedy: str = "") -> Any:
    """Parse a JSON file.

    Args:
        path: The file.
        remedy: Advice where it is missing or damaged; else one that suits a file of a dataset.

    Raises:
        DataError: The file is missing, cannot be read or is not JSON; the message names it and
            the position.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            f"{path}: no such file",
            remedy or "run `dvc repro`, or check the location of the dataset",
        ) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})", remedy) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: not valid JSON ({error})",
            remedy or "the file is truncated or damaged: fetch it again",
        ) from None


@contextmanager
def read_output(path: Path, remedy: str) -> Iterator[Any]:
    """Yield the content of a JSON file of the pipeline, and blame the file for a block that fails.

    The block does no more than take what it needs from the content, or lay it out.

    Args:
        path: The file.
        remedy: Advice, such as the command that makes it anew.

    Raises:
        DataError: The file is missing or damaged, or has another form than the block expects.
    """
    try:
        yield read_json(path, remedy)
    except InputError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        fault = (
            f"{error} is missing"
            if isinstance(error, KeyError)
            else f"another kind of value: {error}"
        )
        raise DataError(f"{path}: not what the pipeline writes ({fault})", remedy) from error


def partial_root(target: Path) -> Path:
    """The folder of an output's unfinished work."""
    return target.with_name(f"{target.name}.partial")


def main_repository() -> Path | None:
    """The root of the project whose experiment runs here in a copy of it, which is deleted later.

    None outside of such a copy. Copies of DVC and of ``smhash ablate`` lie in ``.dvc/tmp/exps``.
    """
    for folder in Path.cwd().resolve().parents:
        if folder.parts[-3:] == (".dvc", "tmp", "exps"):
            return folder.parents[2]
    return None


def experiment_name() -> str | None:
    """The name of the experiment of DVC that a stage of this project runs in, if it does."""
    # Another project's stage may run commands of this one.
    here = Path(os.environ.get("DVC_ROOT", "")).resolve() == Path.cwd()
    return os.environ.get("DVC_EXP_NAME") if here else None


def size_text(size: float) -> str:
    """Bytes in the unit that suits them: ``16.3 GiB``, ``85.6 MiB``."""
    unit = "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


def check_free(folder: Path, needed: int, what: str) -> None:
    """Check that ``needed`` bytes fit where a folder lies or will lie, before the first is written.

    Raises:
        DataError: They do not; the message has both figures.
    """
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if needed > free:
        raise DataError(
            f"{folder}: {what} needs {size_text(needed)} and the disk has {size_text(free)} free",
            "free some space, or choose a folder on another disk; downloaded data is kept",
        )
