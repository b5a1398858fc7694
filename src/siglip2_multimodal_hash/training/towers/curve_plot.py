"""The picture of the training curves."""

import csv
from collections.abc import Mapping
from pathlib import Path

from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.files import replacing, require_free


def read_curve(path: Path) -> list[dict[str, float]]:
    """The rows of a curve: minutes, samples, loss, zero_shot_map.

    Raises:
        DataError: the file is missing, or is no such curve.
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
    """Draw loss and zero-shot macro mAP over the scenes seen, one line a checkpoint, as SVG.

    Args:
        curves: CSV files by the name that the legend gives them.
        picture: the file to write; the same bytes whenever the curves are the same.

    Raises:
        DataError: a curve is missing or damaged.
        InputError: the picture's place is not free; see :func:`.files.require_free`.
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
