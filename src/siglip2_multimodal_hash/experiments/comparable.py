"""Rules of a comparison: the same test images in both groups, seeds alone within one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.evaluation.items import ItemResults

SEED = "seed"
# Keys that change how the work is done and shown, not its results.
WITHOUT_EFFECT = ("runtime.", "report.")
_IDENTITY = {"dataset.name": "datasets", "dataset.protocol": "protocols"}
_SHOWN = 3
_MISSING = "(none)"

Differing = dict[str, tuple[Any, Any]]


@dataclass(frozen=True, eq=False)
class Experiment:
    """A finished experiment.

    Attributes:
        name: As the user wrote it.
        params: The leaves of params.yaml by their full names; a list is a leaf.
        results: Of each test image.
        classifiers: Likewise, of classifiers without a code.
        commit: Of Git, or ``workspace``.
    """

    name: str
    params: dict[str, Any]
    results: ItemResults
    classifiers: dict[str, ItemResults] = field(default_factory=dict)
    commit: str = ""


def check_comparable(experiments: Sequence[Experiment]) -> None:
    """Refuse experiments that were not tested on the same images.

    Raises:
        DataError: They are of different datasets, protocols, test images, labels or categories;
            the message names both experiments and what differs.
    """
    first = experiments[0]
    for other in experiments[1:]:
        for key, what in _IDENTITY.items():
            values = first.params.get(key), other.params.get(key)
            if values[0] != values[1]:
                raise DataError(
                    f"different {what}: {key} is {values[0]} in {first.name} and {values[1]} in "
                    f"{other.name}",
                    "compare experiments of one dataset and protocol",
                )
        _check_same_items(first, other)


def differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> Differing:
    """The leaves that differ, in the order of the files, with both values."""
    return {
        key: (a.get(key, _MISSING), b.get(key, _MISSING))
        for key in dict.fromkeys((*a, *b))
        if a.get(key, _MISSING) != b.get(key, _MISSING)
    }


def effective(differences: Differing) -> Differing:
    """Keep the parameters that can change a result."""
    return {
        key: values for key, values in differences.items() if not key.startswith(WITHOUT_EFFECT)
    }


def check_seeds(runs: Sequence[Experiment]) -> None:
    """Refuse runs of one group that differ in more than the seed, or do not differ in it.

    Raises:
        InputError: They do; the message names the parameters, or the two of one seed.
    """
    seeds: dict[Any, str] = {}
    for run in runs:
        others = [key for key in effective(differing(runs[0].params, run.params)) if key != SEED]
        if others:
            shown = ", ".join(others[:_SHOWN]) + (", ..." if len(others) > _SHOWN else "")
            raise InputError(
                f"{runs[0].name} and {run.name} differ in {shown}, not in {SEED} alone",
                "names joined by commas are runs of one setting with different seeds",
            )
        seed = run.params.get(SEED)
        if seed in seeds:
            raise InputError(
                f"{seeds[seed]} and {run.name} have the same seed, {seed}",
                "name each seed once",
            )
        seeds[seed] = run.name


def seeds_alone(a: Sequence[Experiment], b: Sequence[Experiment]) -> bool:
    """Test whether all runs are of one setting, so that both groups differ in their seeds only."""
    return set(effective(differing(a[0].params, b[0].params))) == {SEED}


def _check_same_items(first: Experiment, other: Experiment) -> None:
    one, two = first.results.items, other.results.items
    names = f"{first.name} and {other.name}"
    remedy = "compare experiments with the same dataset.* parameters and the same dataset on disk"
    if not np.array_equal(one.image_ids, two.image_ids):
        lonely = np.setxor1d(one.image_ids, two.image_ids)
        raise DataError(
            f"different test images: {names} have {len(one.image_ids)} and {len(two.image_ids)}, "
            f"of which {len(lonely)} are in one only, the first: image id {lonely[0]}",
            remedy,
        )
    if one.categories != two.categories:
        raise DataError(f"different categories: those of {names}", remedy)
    changed = np.flatnonzero((one.labels != two.labels).any(axis=1))
    if changed.size:
        raise DataError(
            f"different labels: {names} have other labels for {changed.size} test images, the "
            f"first: image id {one.image_ids[changed[0]]}",
            remedy,
        )
