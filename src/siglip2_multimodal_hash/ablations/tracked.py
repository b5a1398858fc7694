"""Tables of rows from what Git and DVC keep of their experiments."""

from collections.abc import Mapping, Sequence
from typing import Any

from siglip2_multimodal_hash.ablations.draws import Drawn, draw_figures
from siglip2_multimodal_hash.ablations.gather import Gathered, as_read, check_one_code, gather
from siglip2_multimodal_hash.ablations.plan import Plan
from siglip2_multimodal_hash.ablations.repository import Repository
from siglip2_multimodal_hash.ablations.rows import load_rows
from siglip2_multimodal_hash.ablations.tables import Table, build_table
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.evaluation.items import ItemResults
from siglip2_multimodal_hash.params import PREDICTORS
from siglip2_multimodal_hash.reporting.experiments import Experiment, read_experiment
from siglip2_multimodal_hash.reporting.sides import check_comparable


def read_tables(words: Sequence[str], seeds: int | None, *, draws: int, mixed: bool) -> list[Table]:
    """Lay out rows of the project in the working directory.

    Args:
        words: Names of rows, of tiers, or ``all``.
        seeds: How many; None: as each row says.
        draws: Of the bootstrap.
        mixed: Take runs of different code, and note it.

    Raises:
        InputError: An unknown row, none of whose experiments is tracked, or runs of different
            code.
        DataError: Runs were not tested on the same images, or their results are damaged or not in
            the cache.
        ParamsError: A variant is impossible.
    """
    rows, repository = load_rows(), Repository()
    repository.head()
    plan = Plan(rows, repository.params())
    gathered = [gather(plan, name, seeds, repository) for name in plan.select(words)]
    if not mixed:
        check_one_code(gathered)
    figures, plain = _figures(gathered, repository, draws)
    here = repository.code_version()
    return [
        build_table(
            one, rows[one.row].question, rows[one.row].reference, figures, plain, _notes(one, here)
        )
        for one in gathered
    ]


def _figures(
    gathered: Sequence[Gathered], repository: Repository, draws: int
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
    first: Experiment | None = None
    # A bar on a terminal only: elsewhere it would fill the log.
    for commit, readings in tqdm(wanted.items(), desc="experiments", unit="run", disable=None):
        methods = {reading.partition(".")[0] for reading in readings if "." in reading}
        experiment = read_experiment(commit, methods)
        first = first or experiment
        check_comparable([first, experiment])
        for reading in readings:
            # Also where scores are kept: it refuses a predictor that the method does not have.
            if reading not in PREDICTORS:
                plain[commit, reading] = _baseline(experiment.params, commit, reading, repository)
            results = _results(experiment, reading)
            if results is not None:
                figures[commit, reading] = draw_figures(results, draws=draws)
    return figures, plain


def _results(experiment: Experiment, reading: str) -> ItemResults | None:
    """Of each test image, with the tags of what is read; None where they are not kept."""
    if reading in PREDICTORS:
        return as_read(experiment.results, reading)
    return experiment.classifiers.get(reading.partition(".")[0])


def _baseline(
    params: Mapping[str, Any], commit: str, reading: str, repository: Repository
) -> float:
    """MAP on test of another method, from the comparison that the experiment committed."""
    method, _, predictor = reading.partition(".")
    path = f"metrics/{params['dataset.name']}/{params['backbone.name']}/baselines.json"
    try:
        return float(repository.metrics(commit, path)[method][predictor])
    except (KeyError, TypeError, ValueError):
        raise DataError(
            f"{commit[:7]}: {path} has no {method}.{predictor}",
            "`read` in configs/ablations.yaml names what that file has",
        ) from None


def _notes(gathered: Gathered, here: str) -> list[str]:
    notes = []
    if gathered.missing:
        notes.append(
            f"Not run yet: {', '.join(gathered.missing)} (`smhash ablate {gathered.row}`)."
        )
    if gathered.left_out:
        others = "; ".join(f"{name} ({why})" for name, why in gathered.left_out.items())
        notes.append(f"Left out: {others}.")
    if len(gathered.versions) > 1:
        versions = "; ".join(
            f"{version}: {', '.join(names)}" for version, names in gathered.versions.items()
        )
        notes.append(f"Made by different versions of the code: {versions}.")
    elif here not in gathered.versions:
        notes.append(f"Made by version {next(iter(gathered.versions))} of the code, not by {here}.")
    return notes
