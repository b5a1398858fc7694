"""The tracked experiments of a row: which run stands for which variant and seed."""

from collections.abc import Sequence
from dataclasses import dataclass

from siglip2_multimodal_hash.ablations.plan import Plan
from siglip2_multimodal_hash.ablations.repository import Repository
from siglip2_multimodal_hash.ablations.rows import Variant
from siglip2_multimodal_hash.ablations.status import State, Status, statuses
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.evaluation.items import ItemResults
from siglip2_multimodal_hash.params import PREDICTORS


@dataclass(frozen=True)
class Run:
    """One run of a variant.

    Attributes:
        seed: 0 for ``s0``.
        commit: Of the experiment.
        seconds: How long it took, where that was noted.
    """

    seed: int
    commit: str
    seconds: float | None


@dataclass(frozen=True)
class Gathered:
    """What is tracked of a row.

    Attributes:
        row: Its name.
        variants: With their runs, in the file's order; a variant may have none.
        missing: Names of experiments that are not there.
        left_out: Names of those of other parameters, and what is other.
        versions: Of the code that made the runs, with the names of those of each.
    """

    row: str
    variants: tuple[tuple[Variant, tuple[Run, ...]], ...]
    missing: tuple[str, ...]
    left_out: dict[str, str]
    versions: dict[str, tuple[str, ...]]


def gather(plan: Plan, row: str, seeds: int | None, repository: Repository) -> Gathered:
    """Find the experiments of a row by name; those of other parameters do not count.

    Args:
        plan: Of params.yaml as committed.
        row: Its name.
        seeds: How many; None: as the row says.
        repository: Where they are.

    Raises:
        InputError: There is none at all.
        ParamsError: A variant is impossible.
    """
    chosen = plan.rows[row]
    missing: dict[str, None] = {}
    left_out: dict[str, str] = {}
    versions: dict[str, dict[str, None]] = {}
    variants: list[tuple[Variant, tuple[Run, ...]]] = []
    for variant in chosen.variants:
        wanted = [plan.experiment(row, variant, seed) for seed in range(seeds or chosen.seeds)]
        runs: list[Run] = []
        for seed, status in enumerate(statuses(wanted, repository)):
            name, one = status.wanted.name, status.recorded
            if one is None:
                missing[name] = None
            elif _usable(status):
                runs.append(Run(seed, one.commit, repository.seconds(one.commit)))
                versions.setdefault(repository.code_version(one.commit), {})[name] = None
            else:
                left_out[name] = status.why
        variants.append((variant, tuple(runs)))
    if not any(runs for _, runs in variants):
        others = "; ".join(f"{name}: {why}" for name, why in left_out.items())
        raise InputError(
            f"row {row}: no experiment is tracked" + (f" that fits ({others})" if others else ""),
            f"`smhash ablate {row}{' --force' if others else ''}` runs them",
        )
    return Gathered(
        row, tuple(variants), tuple(missing), left_out,
        {version: tuple(names) for version, names in versions.items()},
    )  # fmt: skip


def check_one_code(rows: Sequence[Gathered]) -> None:
    """Refuse runs of different code.

    Raises:
        InputError: There are; the message names some of each version.
    """
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


def as_read(results: ItemResults, read: str) -> ItemResults:
    """The results with the tags of one predictor in the place of all."""
    predictor = read if read in PREDICTORS else "knn"
    return ItemResults(
        results.items,
        dict.fromkeys(PREDICTORS, results.scores[predictor]),
        dict.fromkeys(PREDICTORS, results.thresholds[predictor]),
        results.retrieval,
    )


def _usable(status: Status) -> bool:
    return status.state in (State.THERE, State.OTHER_CODE)
