"""What a server's answer means for a file of which a part may be here already."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx2

from siglip2_multimodal_hash.datasets.acquisition.partial import Origin, Partial
from siglip2_multimodal_hash.errors import DataError

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
PARTIAL = 206
_BEYOND_THE_END = 416
_TEMPORARY = frozenset({408, 425, 429})


class TryAgain(Exception):  # noqa: N818 - it is no error yet
    """An answer that may be better next time.

    Args:
        reason: For the log.
        after: Seconds that the server asks to wait.
    """

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


def check_status(response: httpx2.Response, url: str, partial: Partial) -> None:
    """Let 200 and 206 pass.

    Raises:
        TryAgain: 5xx, 429, 408, 425; and 416, after which what was here is gone.
        DataError: The server refuses, or sends the file encoded although it was not asked to.
    """
    code = response.status_code
    said = f"HTTP {code} {response.reason_phrase}".rstrip()
    if code == _BEYOND_THE_END:
        partial.discard()
        raise TryAgain(f"{said}: what is here is longer than the server's file")
    if code >= 500 or code in _TEMPORARY:
        raise TryAgain(said, retry_after(response.headers.get("retry-after", "")))
    if code not in {200, PARTIAL}:
        raise DataError(
            f"{url}: {said}",
            "the file is not there: correct its address under runtime.download, or name a mirror "
            "or a local copy",
        )
    encoding = response.headers.get("content-encoding", "identity")
    if encoding != "identity":
        raise DataError(
            f"{url}: sent as {encoding}, which was not asked for",
            "something between here and the server changes files: name another mirror under "
            "runtime.download",
        )


def origin_of(response: httpx2.Response, url: str) -> Origin:
    """The whole that an answer belongs to: its size and its validator."""
    length = response.headers.get("content-length", "")
    size = int(length) if length.isdecimal() else None
    if response.status_code == PARTIAL:
        size = _content_range(response)[1]
    etag = response.headers.get("etag")
    # A weak ETag says that two files are as good as each other, not that their bytes are equal.
    strong = etag if etag and not etag.startswith("W/") else None
    return Origin(url, size, strong or response.headers.get("last-modified"))


def check_version(response: httpx2.Response, found: Origin, partial: Partial) -> Origin:
    """Check that a part is the continuation of what is here; ``If-Range`` is often ignored.

    Returns:
        What both are a part of.

    Raises:
        TryAgain: It is not; what was here is gone.
    """
    known, (start, _) = partial.origin(), _content_range(response)
    if known is None or start != partial.size() or not _same_version(known, found):
        partial.discard()
        raise TryAgain("the file on the server has changed: what was here is dropped")
    return known


def _same_version(known: Origin, found: Origin) -> bool:
    """Whether two answers are about the same bytes."""
    if found.size not in {None, known.size}:
        return False
    if found.validator is None:
        # An answer may leave out the date, but never the ETag (RFC 9110, 15.3.7).
        return known.validator is not None and not known.validator.startswith('"')
    return found.validator == known.validator


def retry_after(value: str, now: datetime | None = None) -> float | None:
    """Seconds that a ``Retry-After`` header asks for, as a number or as a date; None without."""
    if value.isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


def _content_range(response: httpx2.Response) -> tuple[int, int | None]:
    """Where a part starts and the size of the whole; (-1, None) where the header is broken."""
    match = _RANGE.fullmatch(response.headers.get("content-range", ""))
    if match is None:
        return -1, None
    return int(match[1]), None if match[3] == "*" else int(match[3])
