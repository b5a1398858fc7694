"""Tables of rows: mean and spread over seeds, differences to the reference, time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import Any

import numpy as np
import pandas as pd

from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.evaluation.items import ItemResults
from siglip2_multimodal_hash.experiments.comparable import SEED, Experiment, check_comparable
from siglip2_multimodal_hash.experiments.draws import (
    FIGURES,
    Drawn,
    difference,
    draw_figures,
    interval,
)
from siglip2_multimodal_hash.experiments.plan import Plan
from siglip2_multimodal_hash.experiments.provenance import Origin
from siglip2_multimodal_hash.experiments.repository import Repository
from siglip2_multimodal_hash.experiments.results import read_baselines, read_experiment
from siglip2_multimodal_hash.experiments.rows import Variant, load_rows
from siglip2_multimodal_hash.experiments.status import State, Status, statuses
from siglip2_multimodal_hash.params import PREDICTORS, flatten
from siglip2_multimodal_hash.progress import track

COLUMNS = (
    "variant", "figure", "runs", "mean", "sd", "own_low", "own_high", "difference", "low", "high",
    "best", "seconds",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Run:
    """One run of a variant.

    Attributes:
        variant: Its name.
        seed: 0 for ``s0``.
        figures: As :func:`.draws.draw_figures` returns them; without draws, and NaN but for mAP of
            tags, where the results of single images are not kept.
        seconds: Its duration, where that was noted.
    """

    variant: str
    seed: int
    figures: Drawn
    seconds: float | None


@dataclass(frozen=True, eq=False)
class Table:
    """One row of ``configs/ablations.yaml``, laid out.

    Attributes:
        name: Of the row.
        question: The question of the row.
        reference: The variant that the others are compared with.
        frame: A line per variant and figure: ``variant``, ``figure``, ``runs`` (their number),
            ``mean`` and ``sd`` (sample standard deviation) over them, ``own_low`` and ``own_high``
            of the mean's interval, ``difference`` to the reference over the common seeds with
            ``low`` and ``high`` of its interval, ``best``, ``seconds`` (mean duration of a run).
            NaN where a value does not exist.
        notes: Missing runs, runs left out, versions of the code.
        images: Of the test split.
        origins: Of the runs.
    """

    name: str
    question: str
    reference: str
    frame: pd.DataFrame
    notes: tuple[str, ...] = ()
    images: int = 0
    origins: tuple[Origin, ...] = ()


Found = list[tuple[Variant, int, Status]]
"""Variants and seeds of a row, with what is recorded of each."""


def read_tables(words: Sequence[str], seeds: int | None, *, draws: int, mixed: bool) -> list[Table]:
    """Lay out rows of the project in the working directory.

    Experiments with other parameters than those of params.yaml do not count.

    Args:
        words: Names of rows, of tiers, or ``all``.
        seeds: Their number; None: that of the row.
        draws: Of the bootstrap.
        mixed: Take runs of different code, and note it.

    Raises:
        InputError: An unknown row, none of whose experiments is recorded, or runs of different
            code.
        DataError: Runs were not tested on the same images, or their results are damaged or not in
            the cache.
        ParamsError: A variant is impossible.
    """
    rows, repository = load_rows(), Repository()
    plan = Plan(rows, repository.params())
    found = {name: _find(plan, name, seeds, repository) for name in plan.select(words)}
    versions = {name: _versions(of, repository) for name, of in found.items()}
    if not mixed:
        _check_one_code(list(versions.values()))
    figures, images = _figures(list(found.values()), draws)
    tables = []
    for (name, of), count in zip(found.items(), images, strict=True):
        runs = [
            Run(variant.name, seed, figures[commit, variant.read], repository.seconds(commit))
            for variant, seed, commit in _usable(of)
        ]
        notes = _notes(name, of, versions[name], repository.code_here)
        table = build_table(name, rows[name].question, rows[name].reference, runs, notes)
        tables.append(replace(table, images=count, origins=_origins(of, repository)))
    return tables


def build_table(
    name: str, question: str, reference: str, runs: Sequence[Run], notes: Sequence[str] = ()
) -> Table:
    """Put a row together; arguments as attributes of :class:`Table`."""
    drawn: dict[str, dict[int, Drawn]] = {}
    for run in runs:
        drawn.setdefault(run.variant, {})[run.seed] = run.figures
    lines = []
    for variant, of in drawn.items():
        times = [run.seconds for run in runs if run.variant == variant and run.seconds is not None]
        common = {
            "variant": variant,
            "runs": len(of),
            "seconds": fmean(times) if times else np.nan,
        }
        compared = {} if variant == reference else drawn.get(reference, {})
        lines += [common | cell for cell in _cells(of, compared)]
    frame = pd.DataFrame(lines).reindex(columns=list(COLUMNS))
    return Table(name, question, reference, _marked(frame, reference), tuple(notes))


def _cells(variant: Mapping[int, Drawn], reference: Mapping[int, Drawn]) -> list[dict[str, Any]]:
    """A line per figure; differences are over the seeds that both have, with draws."""
    common = [
        seed
        for seed, run in variant.items()
        if len(run) > 1 and seed in reference and len(reference[seed]) > 1
    ]
    cells: list[dict[str, Any]] = []
    for column, name in enumerate(FIGURES.values()):
        values = [float(run[0, column]) for run in variant.values()]
        if np.isnan(values).any():  # a classifier without a code retrieves nothing
            continue
        cell = {"figure": name, "mean": fmean(values)}
        cell["sd"] = stdev(values) if len(values) > 1 else np.nan
        if all(len(run) > 1 for run in variant.values()):
            own = np.stack([run[:, column] for run in variant.values()])
            cell["own_low"], cell["own_high"] = interval(own)
        if common:
            a, b = (np.stack([of[one][:, column] for one in common]) for of in (variant, reference))
            gap = difference(a, b)
            cell |= {"difference": gap.value, "low": gap.low, "high": gap.high}
        cells.append(cell)
    return cells


def _marked(frame: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Mark the best of each figure where its difference to the reference stands.

    The reference itself is marked where it is the best and all the differences to it stand.
    """
    frame["best"] = False
    stands = (frame["low"] > 0) | (frame["high"] < 0)
    for figure in frame["figure"].unique():
        lines = frame[frame["figure"] == figure]
        others = lines["variant"] != reference
        first = lines["mean"] == lines["mean"].max()
        compared = others if (first & ~others).any() else first
        if not others.all() and others.any() and stands[lines.index[compared]].all():
            frame.loc[lines.index[first], "best"] = True
    return frame


def _find(plan: Plan, row: str, seeds: int | None, repository: Repository) -> Found:
    chosen = plan.rows[row]
    pairs = [(one, seed) for one in chosen.variants for seed in range(seeds or chosen.seeds)]
    states = statuses([plan.experiment(row, *pair) for pair in pairs], repository)
    found = [(*pair, status) for pair, status in zip(pairs, states, strict=True)]
    if seeds is None:
        # The row's seeds, as far as one of them was run: whoever ran one asked for no more. The
        # experiment that changes nothing is of many rows.
        ran = {0} | {
            seed for _, seed, one in found if one.recorded and one.planned.overrides.keys() - {SEED}
        }
        found = [one for one in found if one[2].recorded or one[1] in ran]
    if not _usable(found):
        others = "; ".join(f"{one.planned.name}: {one.why}" for one in states if one.stale)
        raise InputError(
            f"row {row}: no experiment is tracked" + (f" that fits ({others})" if others else ""),
            f"`smhash ablate {row}{' --force' if others else ''}` runs them",
        )
    return found


def _usable(found: Found) -> list[tuple[Variant, int, str]]:
    """Variants and seeds with the commits of their experiments."""
    return [
        (variant, seed, one.recorded.commit)
        for variant, seed, one in found
        if one.recorded is not None and one.state is not State.OTHER_PARAMS
    ]


def _names(found: Found) -> dict[str, str]:
    """Names of the usable experiments by their commits."""
    names = {one.recorded.commit: one.planned.name for _, _, one in found if one.recorded}
    return {commit: names[commit] for _, _, commit in _usable(found)}


def _origins(found: Found, repository: Repository) -> tuple[Origin, ...]:
    return tuple(
        Origin.recorded(flatten(repository.params(commit)), commit, name)
        for commit, name in _names(found).items()
    )


def _versions(found: Found, repository: Repository) -> dict[str, list[str]]:
    """Names of the experiments of each version of the code."""
    versions: dict[str, list[str]] = {}
    for commit, name in _names(found).items():
        versions.setdefault(repository.code_version(commit), []).append(name)
    return versions


def _check_one_code(rows: Sequence[Mapping[str, list[str]]]) -> None:
    versions: dict[str, dict[str, None]] = {}
    for row in rows:
        for version, names in row.items():
            versions.setdefault(version, {}).update(dict.fromkeys(names))
    if len(versions) > 1:
        shown = "; ".join(
            f"{version}: {len(names)}, such as {next(iter(names))}"
            for version, names in versions.items()
        )
        raise InputError(
            f"the experiments were made by {len(versions)} versions of the code ({shown})",
            "`smhash ablate ROW --force` reruns those of other code; --mixed includes them all, "
            "with a note",
        )


def _figures(rows: Sequence[Found], draws: int) -> tuple[dict[tuple[str, str], Drawn], list[int]]:
    """Figures of each commit and reading, once however many rows have it; test images by row."""
    readings: dict[str, dict[str, None]] = {}
    rows_of: dict[str, dict[int, None]] = {}
    for row, found in enumerate(rows):
        for variant, _, commit in _usable(found):
            readings.setdefault(commit, {})[variant.read] = None
            rows_of.setdefault(commit, {})[row] = None
    figures: dict[tuple[str, str], Drawn] = {}
    # Only within a row are experiments compared: rows may be of different test images.
    firsts: dict[int, Experiment] = {}
    for commit, of in track(readings.items(), "experiments", "run"):
        methods = {reading.partition(".")[0] for reading in of if "." in reading}
        experiment = read_experiment(commit, methods)
        for row in rows_of[commit]:
            check_comparable([firsts.setdefault(row, experiment), experiment])
        for reading in of:
            if reading in PREDICTORS:
                results: ItemResults | None = _as_read(experiment.results, reading)
            else:
                # Also where scores are kept: it refuses a predictor that the method does not have.
                plain = _baseline(experiment.params, commit, reading)
                results = experiment.classifiers.get(reading.partition(".")[0])
            figures[commit, reading] = (
                np.array([[plain, np.nan, np.nan]])
                if results is None
                else draw_figures(results, draws=draws)
            )
    return figures, [len(firsts[row].results.items.labels) for row in range(len(rows))]


def _as_read(results: ItemResults, predictor: str) -> ItemResults:
    """The results with the tags of one predictor in the place of all."""
    return ItemResults(
        results.items,
        dict.fromkeys(PREDICTORS, results.scores[predictor]),
        dict.fromkeys(PREDICTORS, results.thresholds[predictor]),
        results.retrieval,
    )


def _baseline(params: Mapping[str, Any], commit: str, reading: str) -> float:
    """MAP on test of another method, from the comparison that the experiment made."""
    method, _, predictor = reading.partition(".")
    try:
        return float(read_baselines(commit, params)[method][predictor])
    except (KeyError, TypeError, ValueError):
        raise DataError(
            f"{commit[:7]}: the comparison with baselines has no {method}.{predictor}",
            "`read` in configs/ablations.yaml names what `smhash table` prints",
        ) from None


def _notes(row: str, found: Found, versions: Mapping[str, list[str]], here: str) -> list[str]:
    notes = []
    states = [one for _, _, one in found]
    if missing := dict.fromkeys(one.planned.name for one in states if one.recorded is None):
        count = 1 + max(seed for _, seed, one in found if one.recorded is None)
        notes.append(f"Not run yet: {', '.join(missing)} (`smhash ablate {row} --seeds {count}`).")
    others = [one for one in states if one.state is State.OTHER_PARAMS]
    if left_out := dict.fromkeys(f"{one.planned.name} ({one.why})" for one in others):
        notes.append(f"Left out: {'; '.join(left_out)}.")
    if len(versions) > 1:
        shown = "; ".join(f"{version}: {', '.join(names)}" for version, names in versions.items())
        notes.append(f"Made by different versions of the code: {shown}.")
    elif here not in versions:
        notes.append(f"Made by version {next(iter(versions))} of the code, not by {here}.")
    return notes
