"""CUDA architectures that a shared library was compiled for, read from its file.

A library that nvcc compiled holds, per source file, a "fat binary": a header, then an entry for
each architecture, with PTX or machine code. NVIDIA documents the tool that lists them
(``cuobjdump``), not the layout; of a file in another layout the architectures are unknown.
"""

import mmap
import struct
from pathlib import Path

_MAGIC = struct.pack("<IH", 0xBA55ED50, 1)  # and the version
_HEADER = struct.Struct("<6xHQ")  # bytes of this header, and of all entries
_ENTRY = struct.Struct("<HxxIQ12xI")  # kind, bytes of this header and of the code; architecture
_KINDS = {1: "compute", 2: "sm"}


def compiled_for(library: Path) -> set[str]:
    """Architectures such as ``sm_90`` (machine code) and ``compute_90`` (PTX); empty if unknown."""
    found: set[str] = set()
    with library.open("rb") as stream:
        if not library.stat().st_size:
            return found
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            start = content.find(_MAGIC)
            while start != -1:
                found |= _entries(content, start)
                start = content.find(_MAGIC, start + len(_MAGIC))
    return found


def _entries(content: mmap.mmap, start: int) -> set[str]:
    """The architectures of one fat binary; empty where these bytes are none."""
    found: set[str] = set()
    try:
        header, size = _HEADER.unpack_from(content, start)
        place = start + header
        end = place + size
        while place < end:
            kind, header, size, architecture = _ENTRY.unpack_from(content, place)
            found.add(f"{_KINDS[kind]}_{architecture}")
            place += max(header, _ENTRY.size) + size
    except (KeyError, struct.error):
        return set()
    return found if place == end else set()
