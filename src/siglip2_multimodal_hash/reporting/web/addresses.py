"""Addresses of photos for a page that is opened from the same disk."""

import os
from pathlib import Path
from urllib.parse import quote


def photo_address(photo: Path, page: Path) -> str:
    """The URL of a photo, percent-encoded.

    Relative to the page where both lie below the current directory, which is the project: then it
    holds in every clone, and in the copies that DVC runs experiments in. Else a ``file://`` URI.

    Args:
        photo: The image file; it need not be there.
        page: The HTML file.
    """
    # A browser takes `..` out of an address before any link on the way is followed, so what is
    # compared is without both. The photo itself keeps its name, if it is a link.
    project, folder = Path.cwd().resolve(), page.parent.resolve()
    found = photo.parent.resolve() / photo.name
    if found.is_relative_to(project) and folder.is_relative_to(project):
        return quote(os.fsencode(Path(os.path.relpath(found, folder)).as_posix()))
    return found.as_uri()
