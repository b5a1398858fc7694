"""Tables of rows: mean and spread over seeds, differences to the reference, time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import Any

import numpy as np
import pandas as pd

from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.evaluation.items import ItemResults
from siglip2_multimodal_hash.experiments.comparable import check_comparable
from siglip2_multimodal_hash.experiments.draws import FIGURES, Drawn, difference, draw_figures
from siglip2_multimodal_hash.experiments.plan import Plan
from siglip2_multimodal_hash.experiments.repository import Repository
from siglip2_multimodal_hash.experiments.results import read_baselines, read_experiment
from siglip2_multimodal_hash.experiments.rows import PREDICTORS, Variant, load_rows
from siglip2_multimodal_hash.experiments.status import State, statuses

TAGS = next(iter(FIGURES.values()))


@dataclass(frozen=True)
class Run:
    """One run of a variant.

    Attributes:
        seed: 0 for ``s0``.
        commit: Of the experiment.
        seconds: Its duration, where that was noted.
    """

    seed: int
    commit: str
    seconds: float | None


@dataclass(frozen=True)
class Gathered:
    """The recorded experiments of a row.

    Attributes:
        row: Its name.
        variants: With their runs, in the file's order; a variant may have none.
        missing: Names of experiments that have not run.
        left_out: Names of those with other parameters, and the difference.
        versions: Of the code of the runs, with the names of those of each.
    """

    row: str
    variants: list[tuple[Variant, list[Run]]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    versions: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Table:
    """One row of ``configs/ablations.yaml``, laid out.

    Attributes:
        name: Of the row.
        question: The question of the row.
        reference: The variant that the others are compared with.
        frame: A line per variant and figure: ``variant``, ``figure``, ``runs`` (their number),
            ``mean`` and ``sd`` (sample standard deviation) over them, ``difference`` to the
            reference over the common seeds with ``low`` and ``high`` of its interval, ``best``,
            ``seconds`` (mean duration of a run). NaN where a value does not exist.
        notes: Missing runs, runs left out, versions of the code.
    """

    name: str
    question: str
    reference: str
    frame: pd.DataFrame
    notes: tuple[str, ...] = ()


RunFigures = Mapping[tuple[str, str], Drawn]
"""Figures of a run under each draw, by its commit and what is read of it."""


def read_tables(words: Sequence[str], seeds: int | None, *, draws: int, mixed: bool) -> list[Table]:
    """Lay out rows of the project in the working directory.

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
    gathered = [_gather(plan, name, seeds, repository) for name in plan.select(words)]
    if not mixed:
        _check_one_code(gathered)
    figures, plain = _figures(gathered, draws)
    here = repository.code_here
    return [
        build_table(
            one, rows[one.row].question, rows[one.row].reference, figures, plain, _notes(one, here)
        )
        for one in gathered
    ]


def build_table(
    gathered: Gathered,
    question: str,
    reference: str,
    figures: RunFigures,
    plain: Mapping[tuple[str, str], float],
    notes: Sequence[str] = (),
) -> Table:
    """Put a row together.

    Args:
        gathered: Its runs.
        question: Of the row.
        reference: Name of the variant to compare with.
        figures: See :data:`RunFigures`; of each run whose results of single images are read.
        plain: mAP of tags by commit and what is read, for what ``figures`` lacks.
        notes: To go with the table.
    """
    drawn = {
        variant.name: {
            run.seed: figures[key] for run in runs if (key := (run.commit, variant.read)) in figures
        }
        for variant, runs in gathered.variants
    }
    lines: list[dict[str, Any]] = []
    for variant, runs in gathered.variants:
        times = [run.seconds for run in runs if run.seconds is not None]
        common = {
            "variant": variant.name,
            "runs": len(runs),
            "seconds": fmean(times) if times else np.nan,
        }
        if drawn[variant.name]:
            cells = _cells(drawn[variant.name], drawn[reference], variant.name == reference)
        else:
            keys = [(run.commit, variant.read) for run in runs]
            values = [plain[key] for key in keys if key in plain]
            cells = [{"figure": TAGS} | _spread(values)] if values else []
        lines += [common | cell for cell in cells]
    columns = (
        "variant", "figure", "runs", "mean", "sd", "difference", "low", "high", "best", "seconds",
    )  # fmt: skip
    frame = pd.DataFrame(lines).reindex(columns=list(columns))
    return Table(gathered.row, question, reference, _marked(frame, reference), tuple(notes))


def _cells(
    variant: Mapping[int, Drawn], reference: Mapping[int, Drawn], is_reference: bool
) -> list[dict[str, Any]]:
    """A line per figure; differences are over the seeds that both have."""
    common = [seed for seed in variant if seed in reference]
    cells: list[dict[str, Any]] = []
    for column, name in enumerate(FIGURES.values()):
        values = [float(run[0, column]) for run in variant.values()]
        if np.isnan(values).any():  # a classifier without a code retrieves nothing
            continue
        cell = {"figure": name} | _spread(values)
        if common and not is_reference:
            a, b = (
                np.stack([of[seed][:, column] for seed in common]) for of in (variant, reference)
            )
            gap = difference(a, b)
            cell |= {"difference": gap.value, "low": gap.low, "high": gap.high}
        cells.append(cell)
    return cells


def _spread(values: Sequence[float]) -> dict[str, Any]:
    return {"mean": fmean(values), "sd": stdev(values) if len(values) > 1 else np.nan}


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


def _gather(plan: Plan, row: str, seeds: int | None, repository: Repository) -> Gathered:
    """Find the experiments of a row by name; those with other parameters do not count.

    Raises:
        InputError: There is none at all.
        ParamsError: A variant is impossible.
    """
    chosen, found = plan.rows[row], Gathered(row)
    for variant in chosen.variants:
        planned = [plan.experiment(row, variant, seed) for seed in range(seeds or chosen.seeds)]
        runs: list[Run] = []
        for seed, status in enumerate(statuses(planned, repository)):
            name, one = status.planned.name, status.recorded
            if one is None:
                found.missing.append(name)
            elif status.state is State.OTHER_PARAMS:
                found.left_out[name] = status.why
            else:
                runs.append(Run(seed, one.commit, repository.seconds(one.commit)))
                found.versions.setdefault(repository.code_version(one.commit), []).append(name)
        found.variants.append((variant, runs))
    if not any(runs for _, runs in found.variants):
        others = "; ".join(f"{name}: {why}" for name, why in found.left_out.items())
        raise InputError(
            f"row {row}: no experiment is tracked" + (f" that fits ({others})" if others else ""),
            f"`smhash ablate {row}{' --force' if others else ''}` runs them",
        )
    return found


def _check_one_code(rows: Sequence[Gathered]) -> None:
    versions: dict[str, list[str]] = {}
    for row in rows:
        for version, names in row.versions.items():
            versions.setdefault(version, []).extend(names)
    if len(versions) > 1:
        shown = "; ".join(
            f"{version}: {len(set(names))}, such as {names[0]}"
            for version, names in versions.items()
        )
        raise InputError(
            f"the experiments were made by {len(versions)} versions of the code ({shown})",
            "`smhash ablate ROW --force` runs those of other code again; --mixed lays them out "
            "nevertheless, and says so",
        )


def _figures(
    gathered: Sequence[Gathered], draws: int
) -> tuple[dict[tuple[str, str], Drawn], dict[tuple[str, str], float]]:
    """Figures of each run and reading, once however many rows have it."""
    from tqdm import tqdm

    wanted: dict[str, dict[str, None]] = {}
    for one in gathered:
        for variant, runs in one.variants:
            for run in runs:
                wanted.setdefault(run.commit, {})[variant.read] = None
    figures: dict[tuple[str, str], Drawn] = {}
    plain: dict[tuple[str, str], float] = {}
    first = None
    # A bar on a terminal only: elsewhere it would fill the log.
    for commit, readings in tqdm(wanted.items(), desc="experiments", unit="run", disable=None):
        methods = {reading.partition(".")[0] for reading in readings if "." in reading}
        experiment = read_experiment(commit, methods)
        first = first or experiment
        check_comparable([first, experiment])
        for reading in readings:
            if reading in PREDICTORS:
                results: ItemResults | None = _as_read(experiment.results, reading)
            else:
                # Also where scores are kept: it refuses a predictor that the method does not have.
                plain[commit, reading] = _baseline(experiment.params, commit, reading)
                results = experiment.classifiers.get(reading.partition(".")[0])
            if results is not None:
                figures[commit, reading] = draw_figures(results, draws=draws)
    return figures, plain


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


def _notes(gathered: Gathered, here: str) -> list[str]:
    notes = []
    if gathered.missing:
        missing = ", ".join(dict.fromkeys(gathered.missing))
        notes.append(f"Not run yet: {missing} (`smhash ablate {gathered.row}`).")
    if gathered.left_out:
        others = "; ".join(f"{name} ({why})" for name, why in gathered.left_out.items())
        notes.append(f"Left out: {others}.")
    if len(gathered.versions) > 1:
        versions = "; ".join(
            f"{version}: {', '.join(dict.fromkeys(names))}"
            for version, names in gathered.versions.items()
        )
        notes.append(f"Made by different versions of the code: {versions}.")
    elif here not in gathered.versions:
        notes.append(f"Made by version {next(iter(gathered.versions))} of the code, not by {here}.")
    return notes
