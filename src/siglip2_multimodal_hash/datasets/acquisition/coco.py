"""Fetch the pieces of COCO 2014 that are missing under a root, and nothing that is there."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from siglip2_multimodal_hash.datasets.acquisition.archives import (
    check_images,
    check_members,
    unpack,
)
from siglip2_multimodal_hash.datasets.acquisition.digests import Known, Notes, check_same, measure
from siglip2_multimodal_hash.datasets.acquisition.disk import (
    check_free,
    free_bytes,
    readable,
    write_error,
)
from siglip2_multimodal_hash.datasets.acquisition.http import Transfer, fetch
from siglip2_multimodal_hash.datasets.acquisition.mirrors import check_list, local_path, take_local
from siglip2_multimodal_hash.datasets.acquisition.partial import Partial
from siglip2_multimodal_hash.datasets.acquisition.pieces import PUBLISHED, Piece
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.params import DownloadParams

_log = logging.getLogger(__name__)


class Acquisition:
    """The pieces of one root.

    Args:
        root: The folder that holds, or will hold, ``images/`` and ``annotations/``.
        download: Addresses and patience.
        progress: Draw bars.
        accept_changed: Take files whose size or digest is not the known one, and note theirs.
        free: Free bytes of a folder.
    """

    def __init__(
        self,
        root: Path,
        download: DownloadParams,
        *,
        progress: bool,
        accept_changed: bool = False,
        free: Callable[[Path], int] = free_bytes,
    ) -> None:
        self._root = root
        self._download = download
        self._accept_changed = accept_changed
        self._notes = Notes(root)
        self._how = Transfer(
            attempts=download.attempts, timeout=download.timeout, progress=progress, free=free
        )

    def missing(self, pieces: Sequence[Piece]) -> list[Piece]:
        """Those of ``pieces`` that are not under the root in any form."""
        return [piece for piece in pieces if not piece.is_here(self._root)]

    def describe(self, pieces: Sequence[Piece]) -> str:
        """What fetching ``pieces`` means: each with its size and address, and the sum."""
        lines = []
        for piece in pieces:
            size = self._to_download(piece)
            said = "size unknown" if size is None else readable(size)
            if self._is_local(piece):
                said = "no download"
            lines.append(f"\n     {piece.path}: {said}, {piece.address(self._download)}")
        sizes = [self._to_download(piece) for piece in pieces]
        more = " and more" if None in sizes else ""
        total = readable(sum(size or 0 for size in sizes))
        return (
            f"{self._root}: {len(pieces)} piece(s) missing, {total}{more} to download, "
            f"{readable(self._to_write(pieces))}{more} to write:{''.join(lines)}"
        )

    def fetch(self, pieces: Sequence[Piece]) -> list[Piece]:
        """Fetch what is missing of ``pieces``, after saying how much that is.

        Returns:
            What was fetched.

        Raises:
            DataError: The disk is too small for all of it, then nothing is fetched; or a piece
                cannot be had or is not what it should be, then those before it are there.
        """
        missing = self.missing(pieces)
        if not missing:
            return []
        _log.info("%s", self.describe(missing))
        needed = self._to_write(missing)
        check_free(self._root, needed, self._how.free(self._root), "COCO 2014")
        with self._locked():
            for piece in missing:
                try:
                    self._obtain(piece)
                except OSError as error:
                    raise write_error(self._root / piece.path, error) from None
                _log.info("%s: there", piece.path)
        return missing

    def _obtain(self, piece: Piece) -> None:
        file, address = self._root / piece.path, piece.address(self._download)
        path = local_path(address)
        if path is not None and not file.is_file():
            take_local(piece, path, self._root, self._how.free)
            return
        if not file.is_file():
            known = self._known(piece)
            size = None if known is None else known.bytes
            fetch(address, file, self._how, size=size, check=lambda part: self._check(piece, part))
        if piece.members:
            unpack(file, {name: self._root / name for name in piece.members}, self._how.free)

    def _check(self, piece: Piece, part: Path) -> None:
        """Look into a download before it gets its name; note its digest where none is known."""
        known = self._known(piece)
        if piece.folder:
            # Where no digest vouches for the bytes, the checksums of the members have to.
            check_images(part, piece.folder, read=known is None, progress=self._how.progress)
        elif piece.members:
            check_members(part, {name: self._root / name for name in piece.members})
        else:
            check_list(part)
        address = piece.address(self._download)
        found = measure(part, address, name=piece.path, progress=self._how.progress)
        noted = self._notes.get(piece.path) is not None
        if known is not None:
            check_same(piece.path, found, known, noted=noted)
        if known is None or not noted:
            self._notes.put(piece.path, found)

    def _known(self, piece: Piece) -> Known | None:
        """Size and digest that a download must have: as noted, or else as published."""
        if self._accept_changed:
            return None
        return self._notes.get(piece.path) or PUBLISHED.get(piece.address(self._download))

    def _is_local(self, piece: Piece) -> bool:
        """Whether nothing has to be downloaded for it, because its file is on a disk."""
        here = (self._root / piece.path).is_file()
        return here or local_path(piece.address(self._download)) is not None

    def _to_download(self, piece: Piece) -> int | None:
        """Bytes that are still to come; None where the size is not known before the answer."""
        if self._is_local(piece):
            return 0
        known = self._known(piece)
        if known is None:
            return None
        partial = Partial(self._root / piece.path)
        resumable = partial.is_resumable(piece.address(self._download))
        return max(0, known.bytes - (partial.size() if resumable else 0))

    def _to_write(self, pieces: Sequence[Piece]) -> int:
        """Bytes that the disk needs; an unknown size is asked again at its first byte."""
        return sum((self._to_download(piece) or 0) + piece.unpacked for piece in pieces)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time: two would write into the same partial file."""
        path = self._root / ".download.lock"
        lock = FileLock(path)
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout:
            raise DataError(
                f"{self._root}: another process is downloading into it", "wait for it to end"
            ) from None
        except OSError as error:
            raise write_error(path, error) from None
        try:
            yield
        finally:
            with suppress(OSError):  # Windows removes no open file
                path.unlink()
            lock.release()
