"""A comparison of two experiments for people, and for programs."""

from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any

from siglip2_multimodal_hash.document import Part, Strong, Table, Weak
from siglip2_multimodal_hash.evaluation.comparison import Compared, Comparison, MovedClass
from siglip2_multimodal_hash.evaluation.significance import Difference
from siglip2_multimodal_hash.experiments.comparable import Differing, effective
from siglip2_multimodal_hash.experiments.provenance import Origin, footer, pairs

STANDS, NOT_SHOWN, SAME = Strong("stands"), Weak("no difference shown"), Weak("same")
# Beyond the choice of the images, but no setting made it.
BY_SEED = Strong("stands, by the seed alone")
# The fewest seeds whose spread says anything.
SEEDS_FOR_A_CLAIM = 3


def comparison_parts(
    names: tuple[Sequence[str], Sequence[str]],
    comparison: Comparison,
    differences: Differing,
    origins: Sequence[Origin],
    *,
    draws: int,
    seeds_alone: bool,
) -> list[Part]:
    """The comparison as tables, figures in percent.

    Args:
        names: Of the experiments of both groups.
        comparison: Of their results.
        differences: Parameters that differ between the groups.
        origins: Of all runs.
        draws: Of the bootstrap.
        seeds_alone: Whether both groups are of one setting.
    """
    heads = [f"{letter} = {', '.join(group)}" for letter, group in zip("AB", names, strict=True)]
    parts: list[Part] = [
        "\n".join(heads),
        _figures(comparison.figures, seeds_alone),
        f"Of {comparison.images:,} test images, of which {comparison.queries:,} have something "
        f"relevant in the database. Interval: 95%, paired bootstrap over these images, "
        f"{draws:,} draws; CF1 at each run's threshold, tuned on val. It does not cover the "
        f"choice of the seed: for a claim, give {SEEDS_FOR_A_CLAIM} seeds or more per group.",
    ]
    if seeds_alone:
        parts += ["A and B differ in the seed alone.", _over_seeds(comparison.figures)]
    if comparison.moved:
        parts.append(_moved(comparison.moved))
    parts.append(_parameters(differences))
    parts.append(footer(origins, *pairs(origins[0].params, comparison.images)))
    return parts


def comparison_json(
    names: tuple[Sequence[str], Sequence[str]],
    comparison: Comparison,
    differences: Differing,
    *,
    draws: int,
    seeds_alone: bool,
) -> dict[str, Any]:
    """The same as nested dicts, figures from 0 to 1; see :func:`comparison_parts`."""
    return {
        "a": list(names[0]),
        "b": list(names[1]),
        "images": comparison.images,
        "queries": comparison.queries,
        "draws": draws,
        "seeds_alone": seeds_alone,
        "figures": {
            one.name: {
                "a": _spread(one.a),
                "b": _spread(one.b),
                "difference": one.difference.value,
                "low": one.difference.low,
                "high": one.difference.high,
                "stands": one.difference.shown,
            }
            | ({"over_seeds": _spread((*one.a, *one.b))} if seeds_alone else {})
            for one in comparison.figures
        },
        "classes": [
            {"predictor": one.predictor, "category": one.name, "images": one.images}
            | {"a": one.a, "b": one.b, "difference": one.b - one.a}
            for one in comparison.moved
        ],
        "parameters": {key: {"a": a, "b": b} for key, (a, b) in differences.items()},
    }


def _figures(figures: Sequence[Compared], seeds_alone: bool) -> Table:
    rows = [
        (
            one.name,
            _mean_sd(one.a),
            _mean_sd(one.b),
            f"{100 * one.difference.value:+.2f}",
            f"{100 * one.difference.low:+.2f} to {100 * one.difference.high:+.2f}",
            verdict(one.difference, seeds_alone),
        )
        for one in figures
    ]
    return Table(("test, percent", "A", "B", "B - A", "95%", ""), rows, text=(0, 5))


def verdict(difference: Difference, seeds_alone: bool) -> str:
    """Whether a difference stands, and whether anything but the seed can have made it."""
    if difference.value == difference.low == difference.high == 0:
        return SAME
    if not difference.shown:
        return NOT_SHOWN
    return BY_SEED if seeds_alone else STANDS


def _over_seeds(figures: Sequence[Compared]) -> Table:
    rows = [(one.name, _mean_sd((*one.a, *one.b))) for one in figures]
    return Table(("over all seeds", ""), rows)


def points(gap: Difference, decimals: int) -> str:
    """A difference and its interval, in points."""
    value, *ends = (f"{100 * one:+.{decimals}f}" for one in (gap.value, gap.low, gap.high))
    return f"{value} ({' to '.join(ends)})".replace("-", "−")


def moved_cells(one: MovedClass) -> tuple[str, ...]:
    """Images, AP of A and of B, their difference, in percent."""
    shares = f"{100 * one.a:.1f}", f"{100 * one.b:.1f}", f"{100 * (one.b - one.a):+.1f}"
    return (f"{one.images:,}", *shares)


def _moved(classes: Sequence[MovedClass]) -> Table:
    rows = [(one.predictor, one.name, *moved_cells(one)) for one in classes]
    head = ("moved most", "class", "images", "AP of A", "AP of B", "B - A")
    return Table(head, rows, text=(0, 1))


def _parameters(differences: Differing) -> Part:
    if not differences:
        return "No parameter differs."
    return Table(("parameter", "A", "B", ""), parameter_rows(differences), text=range(4))


def parameter_rows(differences: Differing) -> list[tuple[str, str, str, str]]:
    """Each parameter, its value in A and in B, and a note where it changes no result."""
    changing = effective(differences)
    return [
        (key, str(a), str(b), "" if key in changing else "changes no result")
        for key, (a, b) in differences.items()
    ]


def _mean_sd(values: Sequence[float]) -> str:
    return mean_sd(values) + (f" (n = {len(values)})" if len(values) > 1 else "")


def mean_sd(values: Sequence[float]) -> str:
    """The value of one run; mean and sample standard deviation of several; in percent."""
    mean = f"{100 * fmean(values):.2f}"
    return mean if len(values) < 2 else f"{mean} ± {100 * stdev(values):.2f}"


def _spread(values: Sequence[float]) -> dict[str, Any]:
    sd = stdev(values) if len(values) > 1 else None
    return {"mean": fmean(values), "sd": sd, "runs": list(values)}
