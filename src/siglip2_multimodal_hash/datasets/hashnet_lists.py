"""HashNet's published lists of images (Cao et al., ICCV 2017).

``pytorch/data/coco/{train,test,database}.txt`` of github.com/thuml/HashNet, put into ``hashnet/``
under the root: a line is ``PATH LABEL LABEL ...``. The labels there are not read: all labels come
from the annotations. ``database.txt`` may be missing; where it is there, it must name the database
that follows from the other two.
"""

import re
from pathlib import Path

from siglip2_multimodal_hash.datasets.layout import HASHNET_FOLDER, HASHNET_LISTS, hashnet_list
from siglip2_multimodal_hash.datasets.records import first_duplicate
from siglip2_multimodal_hash.errors import DataError

_OPTIONAL = "database"
_LINE = re.compile(r"(?:\S*/)?((?:train|val)2014/[^\s/]+)(?:\s+[01])*")
_FETCH = (
    "`smhash download coco2014 --hashnet` fetches the lists (pytorch/data/coco/*.txt of "
    f"github.com/thuml/HashNet) into {HASHNET_FOLDER}/ under the root"
)


def read_lists(root: Path) -> dict[str, tuple[str, ...]]:
    """The file names (``val2014/COCO_val2014_000000477705.jpg``) in each list that is there.

    Raises:
        DataError: The list of train or test is missing, a line is not of the form, a name occurs
            twice, or an image is in both.
    """
    found: dict[str, tuple[str, ...]] = {}
    for name, files in HASHNET_LISTS.items():
        path = hashnet_list(root, name)
        if path is not None:
            found[name] = read_list(path)
        elif name != _OPTIONAL:
            missing = root / HASHNET_FOLDER / files[0]
            raise DataError(
                f"dataset.protocol = hashnet: {missing} (or {files[1]}) is missing", _FETCH
            )
    for name, other in (("train", "test"), ("database", "test")):
        shared = sorted(set(found.get(name, ())) & set(found[other]))
        if shared:
            raise DataError(
                f"{root / HASHNET_FOLDER}: {len(shared)} image(s) are in the lists of both "
                f"{name} and {other}, the first: {shared[0]}",
                _FETCH,
            )
    return found


def read_list(path: Path) -> tuple[str, ...]:
    """The file names in one list, in its order.

    Raises:
        DataError: It cannot be read, a line is not of the form, or a name occurs twice.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error})", _FETCH) from None
    names: list[str] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise DataError(
                f"{path}: line {number}, {line[:80]!r}, is not a path below train2014/ or val2014/ "
                "with labels of 0 and 1 behind it",
                _FETCH,
            )
        names.append(match[1])
    duplicate = first_duplicate(names)
    if duplicate is not None:
        raise DataError(f"{path}: {duplicate} occurs more than once", _FETCH)
    return tuple(names)
