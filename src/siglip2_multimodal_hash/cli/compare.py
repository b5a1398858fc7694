"""``smhash compare``."""

import argparse
from threading import Lock

from siglip2_multimodal_hash.cli.commands import (
    Commands,
    add_draws,
    add_format,
    new_command,
    path_argument,
    print_json,
    show,
)
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.files import require_free
from siglip2_multimodal_hash.params import PARAMS_FILE, load_params
from siglip2_multimodal_hash.progress import phase

METRICS = ("mAP", "CF1", "retrieval")


def add_parser(commands: Commands) -> None:
    """Add the command."""
    parser = new_command(commands, "compare", compare)
    what = "a DVC experiment, a Git revision or `workspace`; several seeds joined by commas"
    parser.add_argument("a", metavar="A", help=what)
    parser.add_argument("b", metavar="B", help="the same, to compare with A; B - A is shown")
    parser.add_argument(
        "--metric",
        action="append",
        choices=METRICS,
        help="only this figure; repeatable (default: all)",
    )
    add_draws(parser)
    add_format(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument(
        "--html",
        type=path_argument,
        metavar="FILE",
        help="also write one page: both side by side, with curves and the queries that changed",
    )


def compare(arguments: argparse.Namespace) -> None:
    """Compare two experiments on the same test images: differences, their intervals, parameters."""
    names = _names(arguments.a), _names(arguments.b)
    if arguments.html is not None:
        require_free(arguments.html, inputs=[PARAMS_FILE])
    # Other commands need not wait for what this one loads.
    from siglip2_multimodal_hash.evaluation.comparison import compare as compare_results
    from siglip2_multimodal_hash.experiments import comparison_text as shown
    from siglip2_multimodal_hash.experiments.comparable import (
        check_comparable,
        check_seeds,
        differing,
        seeds_alone,
    )
    from siglip2_multimodal_hash.experiments.provenance import Origin
    from siglip2_multimodal_hash.experiments.results import read_experiment

    a, b = ([read_experiment(name) for name in group] for group in names)
    check_comparable([*a, *b])
    for group in (a, b):
        check_seeds(group)
    lock = Lock()
    with phase("bootstrap", arguments.draws, "draw") as progress:

        def drawn() -> None:
            with lock:
                progress.update()

        comparison = compare_results(
            [run.results for run in a],
            [run.results for run in b],
            metrics=arguments.metric or METRICS,
            draws=arguments.draws,
            drawn=drawn,
        )
    differences = differing(a[0].params, b[0].params)
    alone = seeds_alone(a, b)
    options = {"draws": arguments.draws, "seeds_alone": alone}
    if arguments.html is not None:
        from siglip2_multimodal_hash.experiments.comparison_page import write_comparison

        write_comparison(arguments.html, (a, b), comparison, differences, load_params(), **options)
    if arguments.json:
        found = shown.comparison_json(names, comparison, differences, **options)
        print_json(found)
    else:
        origins = [Origin.recorded(run.params, run.commit, run.name) for run in (*a, *b)]
        parts = shown.comparison_parts(names, comparison, differences, origins, **options)
        show(parts, arguments.format)


def _names(group: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in group.split(","))
    if not all(names):
        raise InputError(f"{group!r}: an empty name", "join names by single commas")
    return names
