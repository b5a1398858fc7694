"""Download of one file over HTTP: resumed, retried, and named only when it is whole.

What has arrived lies in ``NAME.part``. ``NAME.part.json``, written before the first byte, names the
URL, the size and the validator of the whole: a later run continues the same file, and bytes without
a note are another program's.
"""

import json
import logging
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path
from time import sleep
from typing import Self

import httpx2

from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.files import check_free, require_free, write_json
from siglip2_multimodal_hash.params import RuntimeParams
from siglip2_multimodal_hash.progress import BYTES, phase

LONGEST_PAUSE = 60.0
# Seconds. A server that asks for a longer wait is left to the user.
LONGEST_RETRY_AFTER = 600
_BUFFER = 2**20
_TEMPORARY = frozenset({408, 425, 429})
_ADDRESS = "correct the address under runtime.download, or name a mirror or a local copy there"
_HOPELESS = (httpx2.UnsupportedProtocol, httpx2.InvalidURL, httpx2.TooManyRedirects)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Transfer:
    """Patience of a download.

    Args:
        attempts: Failures in a row, without a new byte between them, after which to give up.
        timeout: Seconds without a byte, or without a connection, that count as a failure.
        backoff: Seconds before the second attempt; doubled for each further one.
    """

    attempts: int = 6
    timeout: float = 60.0
    backoff: float = 1.0

    @classmethod
    def from_params(cls, runtime: RuntimeParams) -> Self:
        """Settings from ``runtime.download`` and ``runtime.logging``."""
        download = runtime.download
        return cls(download.attempts, download.timeout)


@dataclass(frozen=True)
class Whole:
    """The file on the server.

    Args:
        url: Its address.
        size: Its bytes; None where the server does not say.
        validator: Strong ETag, or else the date of the last change, as the server wrote it: what
            ``If-Range`` takes (RFC 9110, 13.1.5). None where there is neither.
    """

    url: str
    size: int | None
    validator: str | None


class Part:
    """The bytes of ``target`` that have arrived, and the note of the whole."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.data = target.with_name(f"{target.name}.part")
        self._note = target.with_name(f"{target.name}.part.json")

    def require_ours(self) -> None:
        """Refuse bytes without a note, and anything in the place of the target.

        Raises:
            InputError: Something lies where one of the three files goes that no download made.
        """
        require_free(self.data)
        require_free(self._note)
        for path, ours in ((self.target, False), (self.data, self._note.exists())):
            if os.path.lexists(path) and not ours:
                raise InputError(
                    f"{path}: not from this download, and so not replaced", "move it away"
                )

    def size(self) -> int:
        """Bytes that are here."""
        return self.data.stat().st_size if self.data.exists() else 0

    def whole(self) -> Whole | None:
        """The whole that the bytes belong to; None where that is not known."""
        try:
            return Whole(**json.loads(self._note.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def start(self, whole: Whole) -> None:
        """Begin anew: the note first, so that no byte ever lies here without it."""
        self.discard()
        write_json(self._note, asdict(whole))

    def discard(self) -> None:
        """Remove what is here; the data first, for the same reason."""
        self.data.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def finish(self) -> None:
        """Bring the data to the disk, and give it its name."""
        self.require_ours()
        with self.data.open("rb") as stream:
            os.fsync(stream.fileno())
        self.data.replace(self.target)
        self._note.unlink(missing_ok=True)


def fetch(
    url: str,
    target: Path,
    how: Transfer,
    *,
    size: int | None = None,
    check: Callable[[Path], None] | None = None,
) -> None:
    """Fetch ``url`` to ``target``, continuing where an earlier call stopped.

    The part stays after Ctrl-C, a lost connection or a full disk, and is continued only when the
    server confirms that the file is the same (``If-Range``).

    Args:
        url: ``http://`` or ``https://``.
        target: The file to make.
        how: Attempts, pauses.
        size: Bytes that the whole must have, where that is known beforehand.
        check: Looks at the whole before it is named; what it raises removes the part.

    Raises:
        InputError: Something lies where ``target`` or its part goes that is not of a download.
        DataError: The server refuses, sends another size, or cannot be reached in
            ``how.attempts``; or ``check`` says so.
        OSError: The disk is full, or the folder cannot be written.
    """
    part = Part(target)
    part.require_ours()
    target.parent.mkdir(parents=True, exist_ok=True)
    _receive_all(url, part, how, size)
    try:
        if check is not None:
            check(part.data)
    except DataError:
        part.discard()  # continuing it cannot mend it
        raise
    part.finish()


def _receive_all(url: str, part: Part, how: Transfer, size: int | None) -> None:
    """Ask until all is here. Failures count from the last one that brought new bytes."""
    most, failures = part.size(), 0
    with httpx2.Client(follow_redirects=True, timeout=how.timeout) as client:
        while True:
            try:
                return _receive(client, url, part, how, size)
            except (httpx2.HTTPError, httpx2.InvalidURL) as error:
                here = part.size()
                failures = 1 if here > most else failures + 1
                most = max(most, here)
                _pause(url, error, failures, how)


def _receive(client: httpx2.Client, url: str, part: Part, how: Transfer, size: int | None) -> None:
    """One request for what is missing."""
    whole, here = part.whole(), part.size()
    headers = {"Accept-Encoding": "identity"}
    if whole is not None and whole.url == url and whole.size is not None and here:
        if here == whole.size and size in {None, here}:
            return
        if whole.validator is not None:
            headers |= {"Range": f"bytes={here}-", "If-Range": whole.validator}
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            part.discard()
            raise httpx2.RemoteProtocolError("the local part is longer than the server's file")
        response.raise_for_status()
        if response.status_code != HTTPStatus.PARTIAL_CONTENT:
            length = response.headers.get("content-length", "")
            total = int(length) if length.isdecimal() else None
            whole, here = Whole(url, total, _validator(response)), 0
        elif whole is None or not _continues(response, whole, here):
            part.discard()
            raise httpx2.RemoteProtocolError("the file on the server has changed")
        if size is not None and whole.size not in {None, size}:
            raise DataError(
                f"{url}: the server has {whole.size} bytes instead of {size}",
                "the file was changed, or the address is wrong: check it under "
                "runtime.download; `smhash download coco2014 --accept-changed` takes it as it is",
            )
        check_free(part.data.parent, (whole.size or 0) - here, part.target.name)
        if here == 0:
            part.start(whole)
        with (
            part.data.open("ab", buffering=_BUFFER) as file,
            phase(part.target.name, whole.size, BYTES, initial=here) as shown,
        ):
            for chunk in response.iter_raw():
                file.write(chunk)
                shown.update(len(chunk))
    if whole.size not in {None, part.size()}:
        raise httpx2.RemoteProtocolError(f"{part.size()} bytes came instead of {whole.size}")


def _validator(response: httpx2.Response) -> str | None:
    etag = response.headers.get("etag")
    # A weak ETag says that two files are as good as each other, not that their bytes are equal.
    strong = etag if etag and not etag.startswith("W/") else None
    return strong or response.headers.get("last-modified")


def _continues(response: httpx2.Response, whole: Whole, here: int) -> bool:
    """Test whether a response continues the part here; ``If-Range`` is often ignored."""
    # An answer may leave out a validator that it would only repeat (RFC 9110, 15.3.7).
    same = _validator(response) in {None, whole.validator}
    rest = f"bytes {here}-{(whole.size or 0) - 1}/{whole.size}"
    return same and response.headers.get("content-range") == rest


def _pause(url: str, error: Exception, failures: int, how: Transfer) -> None:
    """Wait before the next attempt.

    Raises:
        DataError: The failure is final, or there were enough.
    """
    reason, after = str(error) or type(error).__name__, None
    if isinstance(error, httpx2.HTTPStatusError):
        code, headers = error.response.status_code, error.response.headers
        reason = f"HTTP {code} {error.response.reason_phrase}"
        if code < HTTPStatus.INTERNAL_SERVER_ERROR and code not in _TEMPORARY:
            raise DataError(f"{url}: {reason}", _ADDRESS) from None
        # A date there, which few servers send, counts as no wish.
        wish = headers.get("retry-after", "")
        after = int(wish) if wish.isdecimal() else None
    if isinstance(error, _HOPELESS):
        raise DataError(f"{url}: cannot be fetched ({reason})", _ADDRESS) from None
    if failures >= how.attempts or (after or 0) > LONGEST_RETRY_AFTER:
        wait = f", and the server asks to wait {after} s" if after else ""
        raise DataError(
            f"{url}: given up after {failures} attempt(s): {reason}{wait}",
            "check the connection and rerun later: the part downloaded so far is kept",
        ) from None
    seconds = min(how.backoff * 2 ** (failures - 1), LONGEST_PAUSE) if after is None else after
    _log.warning(
        "%s: %s; retrying in %.1f s (%d of %d)", url, reason, seconds, failures + 1, how.attempts
    )
    sleep(seconds)
