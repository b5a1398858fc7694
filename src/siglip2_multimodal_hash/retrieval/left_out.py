"""Which baselines could not be trained on the features that there are, and why: a small file.

It is there only where there is something to say.
"""

from pathlib import Path

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.files import read_json, write_json

LEFT_OUT = "left_out.json"
ALL = "all"


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
    write_left_out(folder, {ALL: reason})


def read_left_out(folder: Path) -> dict[str, str]:
    """The reasons by name; empty where every baseline was trained.

    Where :data:`ALL` are left out, that is the only name.

    Raises:
        DataError: The file is damaged.
    """
    path = folder / LEFT_OUT
    if not path.exists():
        return {}
    reasons = read_json(path)
    if not isinstance(reasons, dict) or not all(isinstance(one, str) for one in reasons.values()):
        raise DataError(f"{path}: not a reason a baseline", "run `dvc repro train_variants`")
    return reasons
