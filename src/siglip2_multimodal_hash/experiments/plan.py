"""Experiments of rows: named, each once, with all their parameters."""

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from siglip2_multimodal_hash.errors import InputError, did_you_mean
from siglip2_multimodal_hash.experiments.rows import Row, Variant
from siglip2_multimodal_hash.params import PREDICTORS, flatten, parse_params
from siglip2_multimodal_hash.presets import replace_values

ALL = "all"
DEFAULT = "default"
# These values are left out of experiments' names; other values begin the name.
HOME = {
    "dataset.name": "mojicoco",
    "dataset.protocol": "karpathy",
    "backbone.name": "siglip2-tiny",
}
# They take most of the time of an experiment, and a row rarely asks for them.
BASELINES = ("baselines.classifiers", "baselines.variants", "baselines.untrained")

_Key = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Planned:
    """One experiment.

    Attributes:
        name: Such as ``A2-bits-128-s1``, or ``coco2014-karpathy-mine-A2-bits-128-s1``.
        overrides: Differences from params.yaml, by dotted key; the seed included.
        params: All parameters, nested.
    """

    name: str
    overrides: dict[str, Any]
    params: dict[str, Any]


class Plan:
    """The experiments of all rows under one params.yaml.

    The k-th seed, ``sk``, is ``seed`` of params.yaml plus k: ``s0`` is the committed run's own. A
    setting that several rows have bears the name of the first of them, in the order of the file;
    the one that changes nothing is ``default``. It keeps the baselines of params.yaml, as does one
    of whose runs a variant reads another method, or that sets a key of ``baselines``; the others
    leave them out. Where the dataset, protocol or backbone of params.yaml is another than
    :data:`HOME`, names begin with all three.
    """

    def __init__(self, rows: Mapping[str, Row], base: Mapping[str, Any]) -> None:
        self._base = base
        known = flatten(base)
        # Two dots in a row are none that Git takes for a name.
        of = [re.sub(r"\.+", ".", str(known.get(key, home))) for key, home in HOME.items()]
        self._prefix = "" if of == list(HOME.values()) else "-".join(of) + "-"
        self.left_out = {name: why for name, row in rows.items() if (why := _why_not(row, known))}
        self.rows = {name: row for name, row in rows.items() if name not in self.left_out}
        self._all = dict(rows)
        self._names: dict[_Key, str] = {}
        self._with_baselines: set[_Key] = {()}
        for name, row in self.rows.items():
            for variant in row.variants:
                key = self._key(row, variant)
                self._names.setdefault(key, f"{name}-{row.about}-{variant.name}")
                said = {**row.fixed, **variant.overrides}
                if variant.read not in PREDICTORS or said.keys() & set(BASELINES):
                    self._with_baselines.add(key)
        self._names[()] = DEFAULT

    def select(self, words: Sequence[str]) -> list[str]:
        """Names of rows, for names of rows, of tiers, or ``all``; each once, in the file's order.

        Raises:
            InputError: A word names neither, or rows that are left out here.
        """
        chosen: set[str] = set()
        for word in words:
            matching = {
                name for name, row in self._all.items() if word in (name, row.tier) or word == ALL
            }
            if not matching:
                raise self._unknown(word)
            if word in self.left_out:
                raise InputError(f"row {word}: not here: {self.left_out[word]}")
            chosen |= matching
        return [name for name in self.rows if name in chosen]

    def experiment(self, row: str, variant: Variant, seed: int) -> Planned:
        """The experiment of a variant under the ``seed``-th seed.

        Raises:
            ParamsError: A key is unknown, or params.yaml's rules refuse the combination; the
                message names the row and the variant.
        """
        chosen = self.rows[row]
        key = self._key(chosen, variant)
        values = {**chosen.fixed, **variant.overrides, "seed": self._base["seed"] + seed}
        if key not in self._with_baselines:
            values |= dict.fromkeys(BASELINES, False)
        params, source = copy.deepcopy(dict(self._base)), f"row {row}, variant {variant.name}"
        replace_values(params, values, source=source)
        parse_params(params, source=source)
        overrides = _changes(self._base, flatten(params))
        return Planned(f"{self._prefix}{self._names[key]}-s{seed}", overrides, params)

    def experiments(self, names: Sequence[str], seeds: int | None) -> list[Planned]:
        """All experiments of some rows, each once, seed by seed so that s0 of all comes first.

        Args:
            names: Of rows.
            seeds: Number of them; None: as each row says.

        Raises:
            ParamsError: See :meth:`experiment`.
        """
        counts = {name: seeds or self.rows[name].seeds for name in names}
        found: dict[str, Planned] = {}
        for seed in range(max(counts.values(), default=0)):
            for name in names:
                for variant in self.rows[name].variants if seed < counts[name] else ():
                    one = self.experiment(name, variant, seed)
                    found.setdefault(one.name, one)
        return list(found.values())

    def kinds(self) -> dict[str, frozenset[str]]:
        """Sections of changed parameters, by the name of an experiment without its seed.

        ``baselines`` is among them where the experiment makes baselines.
        """
        return {
            f"{self._prefix}{name}": frozenset(
                [changed.partition(".")[0] for changed, _ in key]
                + (["baselines"] if key in self._with_baselines else [])
            )
            for key, name in self._names.items()
        }

    def _key(self, row: Row, variant: Variant) -> _Key:
        overrides = _changes(self._base, {**row.fixed, **variant.overrides})
        return tuple(sorted((key, repr(value)) for key, value in overrides.items()))

    def _unknown(self, word: str) -> InputError:
        tiers = dict.fromkeys(row.tier for row in self._all.values())
        known = [*self._all, *tiers, ALL]
        return InputError(
            f"{word}: no such row or tier",
            f"{did_you_mean(word, known)} rows: {', '.join(self._all)}; tiers: "
            f"{', '.join(tiers)}; or {ALL}".lstrip(),
        )


def _why_not(row: Row, known: Mapping[str, Any]) -> str:
    """The reason why a row is impossible under these parameters; empty where there is none."""
    if row.needs and row.needs not in known:
        return f"params.yaml has no {row.needs}"
    for key, value in row.only.items():
        if known.get(key) != value:
            return f"only with {key} = {value} (here {known.get(key)})"
    return ""


def _changes(base: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The overrides whose value is not the one that is there."""
    known = flatten(base)
    return {
        key: value for key, value in overrides.items() if key not in known or known[key] != value
    }
