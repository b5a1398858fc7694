"""A file that has arrived in part: ``NAME.part``, and beside it what it is a part of.

``NAME.part.json`` names the URL, the size and the validator of the whole, so that a later run, of
this process or of the next, never glues two versions of a file together.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.files import require_free, write_json


@dataclass(frozen=True)
class Origin:
    """What a partial file is a part of.

    Args:
        url: Where it comes from.
        size: Bytes of the whole; None where the server does not say.
        validator: Strong ETag, or else the date of the last change, as the server wrote it: what
            ``If-Range`` takes (RFC 9110, 13.1.5). None where there is neither.
    """

    url: str
    size: int | None
    validator: str | None


class Partial:
    """The partial file of ``target``."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.data = target.with_name(f"{target.name}.part")
        self._note = target.with_name(f"{target.name}.part.json")

    def require_ours(self) -> None:
        """Refuse bytes without a note: another program's, since here the note comes first.

        Raises:
            InputError: That, or something else lies where one of the three files goes.
        """
        for path in (self.data, self._note):
            require_free(path)
        if os.path.lexists(self.target) or (self.data.exists() and not self._note.exists()):
            there = self.target if os.path.lexists(self.target) else self.data
            raise InputError(
                f"{there}: not from this download, and so not replaced", "move it away"
            )

    def size(self) -> int:
        """Bytes that are here."""
        return self.data.stat().st_size if self.data.exists() else 0

    def origin(self) -> Origin | None:
        """What the bytes that are here belong to; None where that is not known."""
        try:
            return Origin(**json.loads(self._note.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def is_resumable(self, url: str) -> bool:
        """Whether the bytes that are here are a beginning of what lies at ``url``."""
        origin, size = self.origin(), self.size()
        return (
            origin is not None
            and origin.url == url
            and origin.validator is not None
            and size > 0
            and (origin.size is None or size <= origin.size)
        )

    def is_complete(self) -> bool:
        """Whether all bytes are here, by the size that the server gave."""
        origin = self.origin()
        return origin is not None and self.data.exists() and origin.size == self.size()

    def start(self, origin: Origin) -> None:
        """Begin anew: the note first, so that no byte ever lies here without it."""
        self.discard()
        write_json(self._note, asdict(origin))

    def discard(self) -> None:
        """Remove what is here; the data first, for the same reason."""
        self.data.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def finish(self) -> None:
        """Give the data, which is on the disk by then, its name."""
        self.require_ours()
        with self.data.open("rb") as stream:
            os.fsync(stream.fileno())
        self.data.replace(self.target)
        self._note.unlink(missing_ok=True)
