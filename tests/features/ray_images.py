"""Images that note who reads them; in a module of its own, as Ray's workers import it."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from siglip2_multimodal_hash.datasets.containers import open_container
from siglip2_multimodal_hash.datasets.images import ContainedImages
from siglip2_multimodal_hash.errors import DataError

PATIENCE = 60.0


class NotedImages(ContainedImages):
    """The images of an archive; every process that reads one leaves ``PID.reader`` in a folder.

    Args:
        archive: Of ``val2014``.
        notes: The folder.
        readers: So many processes must have come before the first image is given out.
        kill_at: The process that first reads an image of this name is killed.
        damaged: Names of images that are none.
        only_here: Other processes than this one find no image.
    """

    def __init__(
        self,
        archive: Path,
        notes: Path,
        *,
        readers: int = 1,
        kill_at: str = "",
        damaged: tuple[str, ...] = (),
        only_here: bool = False,
    ) -> None:
        super().__init__({"val2014": open_container(archive, "val2014")})
        self.notes, self.readers = notes, readers
        self.kill_at, self.damaged = kill_at, damaged
        self.only = os.getpid() if only_here else None

    def pids(self) -> set[int]:
        return {int(path.stem) for path in self.notes.glob("*.reader")}

    def read(self, file_name: str) -> bytes:
        (self.notes / f"{os.getpid()}.reader").touch()
        end = time.monotonic() + PATIENCE
        while len(self.pids()) < self.readers and time.monotonic() < end:
            time.sleep(0.01)
        if file_name.endswith(self.kill_at) and self.kill_at:
            with suppress(FileExistsError):
                (self.notes / "killed").open("x").close()
                os.kill(os.getpid(), signal.SIGKILL)
        if file_name.endswith(self.damaged):
            return b"no image at all"
        if self.only not in {None, os.getpid()}:
            raise DataError(f"/shared/{file_name}: no such file")
        return super().read(file_name)
