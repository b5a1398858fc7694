"""The table of a row: mean and spread over seeds, differences to the reference, time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.ablations.draws import FIGURES, Drawn, difference
from siglip2_multimodal_hash.ablations.gather import Gathered
from siglip2_multimodal_hash.evaluation.significance import Difference

TAGS = next(iter(FIGURES.values()))


@dataclass(frozen=True)
class Cell:
    """One figure of one variant.

    Attributes:
        values: Of each run, by seed.
        difference: To the reference over the seeds that both have; None for the reference itself,
            without a common seed, and where the results of single images are not kept.
        best: Whether it is the best of its column and the difference stands.
    """

    values: tuple[float, ...]
    difference: Difference | None = None
    best: bool = False

    @property
    def mean(self) -> float:
        """Over the runs."""
        return fmean(self.values)

    @property
    def sd(self) -> float | None:
        """Sample standard deviation over the runs, of at least two."""
        return stdev(self.values) if len(self.values) > 1 else None


@dataclass(frozen=True)
class Line:
    """One variant.

    Attributes:
        variant: Its name.
        runs: How many there are.
        cells: By figure; a figure may be missing.
        seconds: A run, mean over those whose time was noted.
    """

    variant: str
    runs: int
    cells: dict[str, Cell]
    seconds: float | None


@dataclass(frozen=True)
class Table:
    """One row of ``configs/ablations.yaml``, laid out.

    Attributes:
        name: Of the row.
        question: What it is to answer.
        reference: The variant that the others are compared with.
        lines: The variants.
        notes: What a reader must know: what is missing, what was left out.
    """

    name: str
    question: str
    reference: str
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()


RunFigures = Mapping[tuple[str, str], Drawn]
"""Figures of a run under each draw, by its commit and what is read of it."""


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
            run.seed: figures[run.commit, variant.read]
            for run in runs
            if (run.commit, variant.read) in figures
        }
        for variant, runs in gathered.variants
    }
    lines = []
    for variant, runs in gathered.variants:
        if not runs:
            continue
        lone = tuple(
            plain[run.commit, variant.read] for run in runs if (run.commit, variant.read) in plain
        )
        cells = {TAGS: Cell(lone)} if lone else {}
        if drawn[variant.name]:
            cells = _cells(drawn[variant.name], drawn[reference], variant.name == reference)
        times = [run.seconds for run in runs if run.seconds is not None]
        lines.append(Line(variant.name, len(runs), cells, fmean(times) if times else None))
    marked = _mark_best(lines, reference)
    return Table(gathered.row, question, reference, tuple(marked), tuple(notes))


def _cells(
    variant: Mapping[int, Drawn], reference: Mapping[int, Drawn], is_reference: bool
) -> dict[str, Cell]:
    common = [seed for seed in variant if seed in reference]
    cells: dict[str, Cell] = {}
    for column, name in enumerate(FIGURES.values()):
        values = tuple(float(run[0, column]) for run in variant.values())
        if np.isnan(values).any():  # a classifier without a code retrieves nothing
            continue
        gap = None
        if common and not is_reference:
            gap = difference(_stack(variant, common, column), _stack(reference, common, column))
        cells[name] = Cell(values, gap)
    return cells


def _stack(runs: Mapping[int, Drawn], seeds: Sequence[int], column: int) -> npt.NDArray[np.float64]:
    return np.stack([runs[seed][:, column] for seed in seeds])


def _mark_best(lines: Sequence[Line], reference: str) -> list[Line]:
    """Mark the best of a column where its difference to the reference stands.

    The reference itself is marked where it is the best and all the differences to it stand.
    """
    marked = {line.variant: dict(line.cells) for line in lines}
    for figure in FIGURES.values():
        there = {line.variant: line.cells[figure] for line in lines if figure in line.cells}
        if reference not in there or len(there) < 2:
            continue
        best = max(there, key=lambda name: there[name].mean)
        gaps = (
            [cell.difference for name, cell in there.items() if name != reference]
            if best == reference
            else [there[best].difference]
        )
        if all(gap is not None and gap.shown for gap in gaps):
            marked[best][figure] = replace(there[best], best=True)
    return [replace(line, cells=marked[line.variant]) for line in lines]
