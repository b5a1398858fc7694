"""Training curves: CSV files and their picture."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.files import replacing, require_free

CurveRow = tuple[float, int, float, float]
"""Minutes, samples, mean loss since the row before, zero-shot macro mAP."""


def write_curve(path: Path, rows: Iterable[CurveRow]) -> None:
    """Write the curve as CSV."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("minutes", "samples", "loss", "zero_shot_map"))
        for minutes, samples, loss, score in rows:
            writer.writerow((f"{minutes:.2f}", samples, f"{loss:.4f}", f"{score:.4f}"))


def read_curve(path: Path) -> list[dict[str, float]]:
    """The rows of a curve: minutes, samples, loss, zero_shot_map.

    Raises:
        DataError: The file is missing, or is no such curve.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = [
                {key: float(text) for key, text in row.items()} for row in csv.DictReader(stream)
            ]
    except FileNotFoundError:
        raise DataError(f"{path}: no such file", "train the checkpoint first") from None
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: not a training curve ({error})") from None
    if not rows or not {"samples", "loss", "zero_shot_map"} <= rows[0].keys():
        raise DataError(f"{path}: not a training curve", "train the checkpoint again")
    return rows


def plot_curves(curves: Mapping[str, Path], picture: Path) -> None:
    """Draw loss and zero-shot macro mAP over the scenes seen, one line per checkpoint, as SVG.

    Args:
        curves: CSV files by their name in the legend.
        picture: The file to write; equal curves give equal bytes.

    Raises:
        DataError: A curve is missing or damaged.
        InputError: The picture's place is not free; see :func:`.files.require_free`.
    """
    require_free(picture, inputs=curves.values())
    # Only drawing needs it, and it takes a second to load.
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    with pyplot.rc_context({"svg.hashsalt": "towers", "font.size": 9}):
        figure, (loss, score) = pyplot.subplots(1, 2, figsize=(7.5, 2.8), layout="constrained")
        for name, path in curves.items():
            rows = read_curve(path)
            thousands = [row["samples"] / 1000 for row in rows]
            loss.plot(thousands, [row["loss"] for row in rows], label=name)
            score.plot(thousands, [row["zero_shot_map"] for row in rows], label=name)
        loss.set(xlabel="scenes seen (thousands)", ylabel="sigmoid loss")
        score.set(xlabel="scenes seen (thousands)", ylabel="zero-shot macro mAP", ylim=(0, None))
        score.legend(frameon=False)
        for axes in (loss, score):
            axes.spines[["top", "right"]].set_visible(False)
        with replacing(picture, inputs=curves.values()) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None})
        pyplot.close(figure)
