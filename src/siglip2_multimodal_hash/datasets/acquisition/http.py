"""One file over HTTP: resumed, retried, and named only when it is whole."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import Self

import httpx2
from tqdm import tqdm

from siglip2_multimodal_hash.datasets.acquisition.disk import check_free, free_bytes, write_error
from siglip2_multimodal_hash.datasets.acquisition.partial import Origin, Partial
from siglip2_multimodal_hash.datasets.acquisition.responses import (
    PARTIAL,
    TryAgain,
    check_status,
    check_version,
    origin_of,
)
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.params import RuntimeParams

LONGEST_PAUSE = 60.0
# A server that asks for more than this will be asked by the user.
LONGEST_RETRY_AFTER = 600.0
_BUFFER = 2**20
_HOPELESS = (httpx2.UnsupportedProtocol, httpx2.InvalidURL, httpx2.TooManyRedirects)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Transfer:
    """How to fetch.

    Args:
        attempts: Failures in a row, without a new byte between them, after which to give up.
        timeout: Seconds without a byte, or without a connection, that count as a failure.
        backoff: Seconds before the second attempt; doubled for each further one.
        progress: Draw a bar.
        free: Free bytes of a folder.
    """

    attempts: int = 6
    timeout: float = 60.0
    backoff: float = 1.0
    progress: bool = False
    free: Callable[[Path], int] = free_bytes

    @classmethod
    def from_params(cls, runtime: RuntimeParams) -> Self:
        """As ``runtime.download`` and ``runtime.logging`` say."""
        return cls(
            attempts=runtime.download.attempts,
            timeout=runtime.download.timeout,
            progress=runtime.logging.progress,
        )


def fetch(
    url: str,
    target: Path,
    how: Transfer,
    *,
    size: int | None = None,
    check: Callable[[Path], None] | None = None,
) -> None:
    """Fetch ``url`` to ``target``, going on where an earlier call stopped.

    Bytes go to ``target`` + ``.part``. It stays after Ctrl-C, a lost connection or a full disk,
    and is continued only when the server confirms that the file is the same (``If-Range``).

    Args:
        url: ``http://`` or ``https://``.
        target: The file to make.
        how: Attempts, pauses, progress.
        size: Bytes that the whole must have, where that is known beforehand.
        check: Looks at the whole before it is named; what it raises removes the partial file.

    Raises:
        InputError: Something lies where ``target`` or its part goes that is not of a download.
        DataError: The server refuses, sends another size, or cannot be reached in
            ``how.attempts``; the disk is full; or ``check`` says so.
    """
    partial = Partial(target)
    try:
        partial.require_ours()
        target.parent.mkdir(parents=True, exist_ok=True)
        if not partial.is_resumable(url):
            partial.discard()
        _complete(url, partial, how, size)
        if check is not None:
            _check(partial, check)
        partial.finish()
    except KeyboardInterrupt:
        _log.info("%s: %d bytes are kept; run again to go on", partial.data, partial.size())
        raise
    except OSError as error:
        raise write_error(partial.data, error) from None


def _check(partial: Partial, check: Callable[[Path], None]) -> None:
    """A whole that does not pass cannot be mended by going on with it."""
    try:
        check(partial.data)
    except DataError:
        partial.discard()
        raise


def _complete(url: str, partial: Partial, how: Transfer, size: int | None) -> None:
    """Ask until all is here. Failures count from the last one that brought new bytes."""
    most, failures = partial.size(), 0
    timeout = httpx2.Timeout(how.timeout)
    with httpx2.Client(follow_redirects=True, timeout=timeout) as client:
        while True:
            try:
                _receive(client, url, partial, how, size)
                return
            except _HOPELESS as error:
                raise DataError(
                    f"{url}: cannot be fetched ({error})", "correct it under runtime.download"
                ) from None
            except (httpx2.HTTPError, TryAgain) as error:
                here = partial.size()
                failures = 1 if here > most else failures + 1
                most = max(most, here)
                _pause(url, error, failures, how)


def _receive(
    client: httpx2.Client, url: str, partial: Partial, how: Transfer, size: int | None
) -> None:
    """One request for what is missing."""
    known, offset = partial.origin(), partial.size()
    if known is not None and partial.is_complete() and size in {None, known.size}:
        return
    headers = {"Accept-Encoding": "identity"}
    if known is not None and known.validator is not None and offset:
        headers |= {"Range": f"bytes={offset}-", "If-Range": known.validator}
    with client.stream("GET", url, headers=headers) as response:
        check_status(response, url, partial)
        found = origin_of(response, url)
        if size is not None and found.size is not None and found.size != size:
            raise DataError(
                f"{url}: the server has {found.size} bytes instead of {size}",
                "the file was changed, or the address leads elsewhere: check it under "
                "runtime.download; `smhash download coco2014 --accept-changed` takes it as it is",
            )
        if response.status_code == PARTIAL:
            found = check_version(response, found, partial)
        else:
            offset = 0
        if found.size is not None:
            free = how.free(partial.data.parent)
            check_free(partial.data.parent, found.size - offset, free, partial.target.name)
        if offset == 0:
            partial.start(found)
        _write(response, partial, offset, found, how)


def _write(
    response: httpx2.Response, partial: Partial, offset: int, origin: Origin, how: Transfer
) -> None:
    bar = tqdm(
        total=origin.size,
        initial=offset,
        desc=partial.target.name,
        unit="B",
        unit_scale=True,
        disable=not how.progress,
    )
    with bar, partial.data.open("ab", buffering=_BUFFER) as stream:
        for chunk in response.iter_raw():
            stream.write(chunk)
            bar.update(len(chunk))
    here = partial.size()
    if origin.size is not None and here != origin.size:
        if here > origin.size:
            partial.discard()
        raise TryAgain(f"{here} bytes came instead of {origin.size}")


def _pause(url: str, error: Exception, failures: int, how: Transfer) -> None:
    """Wait before the next attempt, or give up."""
    reason = str(error) or type(error).__name__
    after = error.after if isinstance(error, TryAgain) else None
    if failures >= how.attempts or (after or 0) > LONGEST_RETRY_AFTER:
        wait = f", and the server asks to wait {after:.0f} s" if after else ""
        raise DataError(
            f"{url}: given up after {failures} attempt(s): {reason}{wait}",
            "check the connection and run again later: what has arrived is kept",
        ) from None
    seconds = min(how.backoff * 2 ** (failures - 1), LONGEST_PAUSE) if after is None else after
    _log.warning(
        "%s: %s; next try in %.1f s (%d of %d)", url, reason, seconds, failures + 1, how.attempts
    )
    sleep(seconds)
