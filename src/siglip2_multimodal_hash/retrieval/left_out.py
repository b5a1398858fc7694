"""A small file of the baselines that the features do not allow, each with the reason.

It exists only where there are any.
"""

import logging
from pathlib import Path

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.files import read_json, write_json

logger = logging.getLogger(__name__)

LEFT_OUT = "left_out.json"
_ALL = "all"


def write_left_out(folder: Path, reasons: dict[str, str]) -> None:
    """Note the baselines that ``folder`` will not hold.

    Args:
        folder: Of the baselines.
        reasons: By name.
    """
    if reasons:
        write_json(folder / LEFT_OUT, reasons)


def leave_out_all(folder: Path, reason: str) -> None:
    """Note that ``folder`` will hold no baseline, whatever their names."""
    write_left_out(folder, {_ALL: reason})


def read_left_out(folder: Path) -> dict[str, str]:
    """The reasons by name; empty where every baseline was trained.

    Raises:
        DataError: The file is damaged.
    """
    path = folder / LEFT_OUT
    if not path.exists():
        return {}
    reasons = read_json(path)
    if not isinstance(reasons, dict) or not all(isinstance(one, str) for one in reasons.values()):
        raise DataError(f"{path}: not a reason per baseline", "run `dvc repro train_variants`")
    return reasons


def all_left_out(folder: Path) -> bool:
    """Test whether :func:`leave_out_all` left ``folder`` without baselines; if so, log the reason.

    Raises:
        DataError: The file is damaged.
    """
    reason = read_left_out(folder).get(_ALL)
    if reason is not None:
        logger.info("%s: all are left out, because %s", folder.name, reason)
    return reason is not None
