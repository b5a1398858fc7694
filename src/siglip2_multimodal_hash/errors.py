"""Errors that a user can fix: one message with the fault, its place and the remedy."""

import difflib
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn


class InputError(Exception):
    """Bad input: a parameter, a file, an annotation. Carries no traceback to the user.

    Args:
        message: The fault, with the key or the file and the offending value.
        remedy: Advice to the user.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(f"{message}\n  -> {remedy}" if remedy else message)


class ParamsError(InputError, ValueError):
    """A parameter is unknown, of the wrong type, out of range, or clashes with another."""


class DataError(InputError):
    """A file of the dataset is missing, damaged, or contradicts another."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A suggestion of known words similar to a misspelt one; empty if there is none."""
    folded = {name.lower(): name for name in known}
    if word in folded.values():
        return ""
    # Of a short word, one wrong letter is half.
    cutoff = 0.5 if len(word) < 5 else 0.6
    near = difflib.get_close_matches(word.lower(), folded, n=3, cutoff=cutoff)
    return f"did you mean {' or '.join(f'`{folded[one]}`' for one in near)}?" if near else ""


@contextmanager
def explained_disk(folder: Path, remedy: str, needs: str = "") -> Iterator[None]:
    """Turn a failure to write into a message.

    Args:
        folder: Folder that the block writes to.
        remedy: Advice to the user.
        needs: Space that it needs, such as ``image.npy needs 3.1 MB``.

    Raises:
        DataError: The disk is full, or the folder cannot be written.
    """
    try:
        yield
    except OSError as error:
        reason = "; ".join(filter(None, (error.strerror or str(error), needs)))
        raise DataError(f"{folder}: cannot be written ({reason})", remedy) from None


EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


def run_guarded(main: Callable[[], None]) -> NoReturn:
    """Run ``main`` and leave the process with an exit code.

    0 on success; 2 after an :class:`InputError` (its message on stderr, no traceback); 130 after
    Ctrl-C. Any other exception is a defect of the project and keeps its traceback.
    """
    try:
        main()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)
    except KeyboardInterrupt:
        print("Interrupted. Finished work is saved; rerun to resume.", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(0)
