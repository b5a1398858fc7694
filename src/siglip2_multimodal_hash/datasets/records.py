"""Large JSON files of records: read lean, and check each field that is used.

``instances_train2014.json`` holds 448 MB, nearly all of it outlines that no stage needs. Fields
outside ``keep`` are dropped while the file is parsed, so the peak is the text plus what is kept.
"""

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, TypeVar

from siglip2_multimodal_hash.errors import DataError

Record = dict[str, Any]
Value = TypeVar("Value", int, str)

_INT64_MAX = 2**63 - 1
_DAMAGED = "the file is truncated or damaged: fetch it again"
_WRONG_FILE = "the file is not what its name says, or is damaged: fetch it again"


def read_records(path: Path, keep: Collection[str]) -> Record:
    """Parse a JSON file whose top level is an object, keeping only the named fields at any depth.

    Raises:
        DataError: The file is missing or unreadable, is not JSON (the message gives the position),
            or its top level is not an object.
    """
    kept = frozenset(keep)

    def drop_the_rest(pairs: list[tuple[str, Any]]) -> Record:
        return {key: value for key, value in pairs if key in kept}

    try:
        content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=drop_the_rest)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file", "check the location of the dataset") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})", "check the file") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not valid JSON ({error})", _DAMAGED) from None
    if not isinstance(content, dict):
        raise DataError(f"{path}: the top level is not an object", _WRONG_FILE)
    return content


def section(path: Path, content: Record, key: str) -> list[Record]:
    """The list of records under ``key``.

    Raises:
        DataError: The key is missing, is no list, or a member is no object.
    """
    if key not in content:
        raise DataError(f"{path}: no key {key!r}", _WRONG_FILE)
    records = content[key]
    if not isinstance(records, list):
        raise DataError(f"{path}: {key} is not a list", _WRONG_FILE)
    for position, record in enumerate(records):
        if not isinstance(record, dict):
            raise DataError(f"{path}: {key}[{position}] is not an object", _WRONG_FILE)
    return records


def column(
    path: Path, name: str, records: Sequence[Record], key: str, kind: type[Value]
) -> list[Value]:
    """One field of every record, in order.

    Args:
        path: The file, for messages.
        name: The section that the records come from, for messages.
        records: The records.
        key: The field.
        kind: ``int`` (0 to 2^63 - 1, the range of ids and sizes) or ``str`` (valid Unicode).

    Raises:
        DataError: A record lacks the field, or holds a value of another type or range; the message
            names the file, the position, the record's id where it has one, and the value.
    """
    values: list[Value] = []
    for position, record in enumerate(records):
        value = record.get(key)
        # `type`, not `isinstance`: true and false are no ids.
        if type(value) is not kind or not _in_range(value):
            raise DataError(
                f"{path}: {name}[{position}]{_identity(record)}: {_complaint(record, key, kind)}",
                _WRONG_FILE,
            )
        values.append(value)
    return values


def first_duplicate(values: Sequence[int] | Sequence[str]) -> int | str | None:
    """The first value that was there before; ``None`` where all are distinct."""
    if len(set(values)) == len(values):
        return None
    seen: set[int | str] = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    return None


def _in_range(value: int | str) -> bool:
    if isinstance(value, int):
        return 0 <= value <= _INT64_MAX
    if value.isascii():
        return True
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _identity(record: Record) -> str:
    keys = ("id", "cocoid", "image_id")
    known = [f"{key} {record[key]!r}" for key in keys if key in record]
    return f" ({', '.join(known)})" if known else ""


def _complaint(record: Record, key: str, kind: type) -> str:
    if key not in record:
        return f"no key {key!r}"
    expected = "a whole number from 0 to 2^63 - 1" if kind is int else "valid text"
    return f"{key} = {record[key]!r:.80} is not {expected}"
