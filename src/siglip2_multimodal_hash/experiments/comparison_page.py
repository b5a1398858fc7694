"""A comparison as one page: figures, curves side by side, the queries that changed."""

import csv
import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.datasets.images import ImageSource, open_image_source
from siglip2_multimodal_hash.datasets.index import read_index
from siglip2_multimodal_hash.datasets.layout import source_root
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.evaluation.average_precision import average_precisions
from siglip2_multimodal_hash.evaluation.comparison import Compared, Comparison, MovedClass
from siglip2_multimodal_hash.evaluation.groups import item_f1
from siglip2_multimodal_hash.evaluation.items import ItemResults, Items
from siglip2_multimodal_hash.experiments.comparable import Differing, Experiment
from siglip2_multimodal_hash.experiments.comparison_text import (
    SEEDS_FOR_A_CLAIM,
    mean_sd,
    moved_cells,
    parameter_rows,
    points,
    verdict,
)
from siglip2_multimodal_hash.experiments.provenance import Origin, footer, pairs
from siglip2_multimodal_hash.experiments.repository import WORKSPACE, Repository
from siglip2_multimodal_hash.params import PREDICTORS, Params
from siglip2_multimodal_hash.reporting.page import write_page
from siglip2_multimodal_hash.reporting.web.charts import Figure
from siglip2_multimodal_hash.reporting.web.inputs import Record
from siglip2_multimodal_hash.reporting.web.side_charts import (
    CURVES,
    Gap,
    Side,
    class_scatter,
    curve_charts,
    forest_chart,
)
from siglip2_multimodal_hash.reporting.web.tables import Table, text_rows
from siglip2_multimodal_hash.reporting.web.thumbnails import QUERY_SIDE

LETTERS = "AB"
# On either side.
SHOWN_QUERIES = 12
FIRST = PREDICTORS[0]

Json = dict[str, Any]
Groups = tuple[Sequence[Experiment], Sequence[Experiment]]


def write_comparison(
    path: Path,
    groups: Groups,
    comparison: Comparison,
    differences: Differing,
    here: Params,
    *,
    draws: int,
    seeds_alone: bool,
) -> None:
    """Write the page; photos are on it where the dataset is in the working directory.

    Args:
        path: The HTML file.
        groups: The runs of A and of B.
        comparison: Of their results.
        differences: Parameters that differ between the groups.
        here: Parameters of the working directory: where photos are, and whether to embed them.
        draws: Of the bootstrap.
        seeds_alone: Whether both groups are of one setting.

    Raises:
        InputError: The file cannot be written.
        DataError: A photo is damaged.
    """
    names = tuple(run.name for run in groups[0]), tuple(run.name for run in groups[1])
    legend = [
        (f"{letter}: {', '.join(own)}", letter.lower())
        for letter, own in zip(LETTERS, names, strict=True)
    ]
    runs = [*groups[0], *groups[1]]
    items = runs[0].results.items
    size = pairs(runs[0].params, comparison.images)
    changed = _changed_queries(groups[0][0].results, groups[1][0].results)
    ids = [query["id"] for group in changed["groups"] for query in group["queries"]]
    photos, images, locate = _photos(runs[0].params, items, ids, here)
    context = {
        "title": f"{', '.join(names[0])} and {', '.join(names[1])}",
        "facts": {"A": ", ".join(names[0]), "B": ", ".join(names[1]), "test": " ".join(size)},
        "forest": _forest(comparison.figures),
        "figures": _figures(comparison.figures, seeds_alone),
        "interval": f"95%: paired bootstrap over {comparison.images:,} test images, of which "
        f"{comparison.queries:,} have something relevant in the database; {draws:,} draws. It does "
        f"not cover the choice of the seed: for a claim, give {SEEDS_FOR_A_CLAIM} seeds or more "
        "per group.",
        "changed": changed,
        "photos": photos,
        "several": max(map(len, names)) > 1,
        "curves": curve_charts(_sides(groups), legend),
        "classes": _class_chart(groups),
        "moved": _moved(comparison.moved),
        "parameters": Table(
            "Parameters that differ",
            ["", "A", "B", ""],
            text_rows(parameter_rows(differences)),
            "wide lines",
        )
        if differences
        else None,
        "runs": runs_table(
            (letter, _origin(run))
            for letter, group in zip(LETTERS, groups, strict=True)
            for run in group
        ),
        "provenance": footer([_origin(run) for run in runs], *size).split("\n"),
    }
    wanted = [(key, photo["file"], QUERY_SIDE) for key, photo in photos.items()]
    write_page(path, "comparison.html", context, photos, wanted, images, locate)


def runs_table(runs: Iterable[tuple[str, Origin]]) -> Table:
    """Runs with their side or row, commit, seed, objective and bits."""
    keys = ("seed", "loss.objective", "hash.bits")
    rows = text_rows(
        (run.experiment or WORKSPACE, of, run.commit, *(str(run.params[key]) for key in keys))
        for of, run in runs
    )
    return Table("Runs", ["", "of", "commit", "seed", "objective", "bits"], rows, "wide lines")


def _origin(run: Experiment) -> Origin:
    return Origin.recorded(run.params, run.commit, run.name)


def _forest(figures: Sequence[Compared]) -> Figure:
    gaps = [Gap(one.name, one.difference, points(one.difference, 2)) for one in figures]
    legend = [
        ("B is higher", "b"),
        ("A is higher", "a"),
        ("hollow: no difference shown", "one"),
    ]
    return forest_chart("B less A, with its 95% interval", gaps, "a", "b", legend)


def _figures(figures: Sequence[Compared], seeds_alone: bool) -> Table:
    rows = text_rows(
        (
            one.name,
            mean_sd(one.a),
            mean_sd(one.b),
            points(one.difference, 2),
            verdict(one.difference, seeds_alone),
            *([mean_sd((*one.a, *one.b))] * seeds_alone),
        )
        for one in figures
    )
    head = ["", "A", "B", "B less A (95% interval)", "", *(["over all seeds"] * seeds_alone)]
    note = "A and B differ in the seed alone." if seeds_alone else ""
    return Table("Test, in percent", head, rows, "wide lines terms", note)


def _moved(classes: Sequence[MovedClass]) -> Table:
    rows = text_rows((one.name, one.predictor, *moved_cells(one)) for one in classes)
    head = ["class", "tags of", "images", "AP of A", "AP of B", "B less A"]
    return Table("Classes that moved most, by predictor", head, rows)


def _class_chart(groups: Groups) -> Figure:
    items = groups[0][0].results.items
    a, b = (
        np.mean(
            [average_precisions(run.results.scores[FIRST], items.labels) for run in group], axis=0
        )
        for group in groups
    )
    images = items.labels.sum(axis=0, dtype=np.int64).tolist()
    return class_scatter(FIRST, a, b, items.categories, images)


def _sides(groups: Groups) -> list[Side]:
    """Each run with the data of its plots, which Git has."""
    repository = Repository()
    sides = []
    for letter, group in zip(LETTERS, groups, strict=True):
        for run in group:
            folder = f"plots/{run.params['dataset.name']}/{run.params['backbone.name']}"
            files = {
                curve.file: _records(repository, run.commit, f"{folder}/{curve.file}.csv")
                for curve in CURVES
            }
            name = letter if len(group) == 1 else f"{letter} {run.name}"
            sides.append(Side(name, letter.lower(), files))
    return sides


def _records(repository: Repository, commit: str, path: str) -> list[Record]:
    """The rows of a CSV file; none where the run has no such file."""
    try:
        return list(csv.DictReader(repository.text(commit, path).splitlines()))
    except (subprocess.CalledProcessError, OSError):
        return []


def _changed_queries(a: ItemResults, b: ItemResults) -> Json:
    """The images whose tags differ, those with the largest difference of F1 first.

    Returns:
        ``changed``: their number; ``same``: those of equal F1; ``groups``, each with its ``title``,
        the number of its images (``count``) and the first of them (``queries``).
    """
    items = a.items
    decided = [run.scores[FIRST] >= run.thresholds[FIRST] for run in (a, b)]
    before, after = (item_f1(items.labels, one) for one in decided)
    gaps = np.round(after - before, 9)
    changed = (decided[0] != decided[1]).any(axis=1)
    groups = []
    for title, sign in (("Better in B", 1), ("Better in A", -1)):
        order = np.argsort(-sign * gaps, kind="stable")
        better = order[sign * gaps[order] > 0]
        queries = [_query(items, int(row), (a, b), decided) for row in better[:SHOWN_QUERIES]]
        groups.append({"title": title, "count": len(better), "queries": queries})
    return {
        "changed": int(changed.sum()),
        "same": int((changed & (gaps == 0)).sum()),
        "images": len(items.labels),
        "groups": groups,
    }


def _query(
    items: Items, row: int, runs: Sequence[ItemResults], decided: Sequence[npt.NDArray[np.bool_]]
) -> Json:
    true = items.labels[row].astype(bool)
    shown = true | decided[0][row] | decided[1][row]
    # Alike on both sides: what is right to find, then the rest.
    order = sorted(np.flatnonzero(shown).tolist(), key=lambda c: (not true[c], items.categories[c]))
    sides = [
        (
            letter,
            [
                (items.categories[c], _kind(bool(true[c]), bool(own[row, c])),
                 float(run.scores[FIRST][row, c]))
                for c in order
                if true[c] or own[row, c]
            ],
        )
        for letter, run, own in zip(LETTERS, runs, decided, strict=True)
    ]  # fmt: skip
    found = [float(run.retrieval[row]) for run in runs]
    return {
        "id": str(items.image_ids[row]),
        "sides": sides,
        "retrieval": None if np.isnan(found).any() else found,
    }


def _kind(true: bool, decided: bool) -> str:
    return "wrong" if not true else "hit" if decided else "missed"


def _photos(
    of: Json, items: Items, ids: Sequence[str], here: Params
) -> tuple[dict[str, Json], ImageSource | None, Callable[[str], Path] | None]:
    """File and caption of some images; the source to embed and the paths to link to.

    Nothing where the working directory does not have the dataset.
    """
    name = of["dataset.name"]
    folder = Path("data", name)
    kind: Any = of.get("dataset.kind", name)  # a run of before had no kind
    try:
        frame = read_index(folder / "index.parquet").frame.set_index("image_id")
        images = open_image_source(source_root(kind, folder / "source", here.runtime), kind)
    except DataError:
        return {}, None, None
    photos: dict[str, Json] = {}
    for one in ids:
        if int(one) in frame.index:
            row: Any = frame.loc[int(one)]
            photos[one] = {"file": str(row["file_name"]), "caption": row["captions"][0].strip()}
    embed, link = here.report.embed_images, here.report.link_images
    return photos, images if embed else None, images.locate if link else None
