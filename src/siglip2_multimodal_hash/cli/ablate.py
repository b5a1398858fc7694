"""``smhash ablate``."""

import argparse
import shlex
import signal
import sys
from typing import TYPE_CHECKING

from siglip2_multimodal_hash.cli.commands import Commands, at_least, new_command, path_argument
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.files import require_free
from siglip2_multimodal_hash.params import PARAMS_FILE

if TYPE_CHECKING:
    from siglip2_multimodal_hash.experiments.plan import Planned
    from siglip2_multimodal_hash.experiments.repository import Repository
    from siglip2_multimodal_hash.experiments.rows import Row

EXIT_FAILED = 1


def add_parser(commands: Commands) -> None:
    """Add the command."""
    parser = new_command(
        commands,
        "ablate",
        ablate,
        f"{EXIT_FAILED} if an experiment failed or stale ones remain; 130 after Ctrl-C or SIGTERM: "
        "the same command continues",
    )
    parser.add_argument("row", nargs="*", help="rows or tiers of configs/ablations.yaml, or `all`")
    parser.add_argument("--list", action="store_true", help="show the rows and their questions")
    parser.add_argument(
        "--seeds",
        type=at_least(1),
        help="number of seeds; seed N is params.yaml's plus N (default: the row's)",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would run, and for how long"
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="also rerun stale experiments, made with other code or parameters",
    )
    parser.add_argument(
        "--jobs",
        type=at_least(1),
        default=1,
        help="experiments to run in parallel, spread over the GPUs (default: 1)",
    )
    parser.add_argument(
        "--report",
        type=path_argument,
        metavar="FILE",
        help="also write the rows as one page, as `smhash table --html` does",
    )


def ablate(arguments: argparse.Namespace) -> None:
    """Run the missing experiments of ablation rows, each in a clone of the last commit."""
    _check(arguments)
    # Other commands need not wait for what this one loads.
    from siglip2_multimodal_hash.experiments import engine
    from siglip2_multimodal_hash.experiments.progress import Progress
    from siglip2_multimodal_hash.experiments.repository import Repository
    from siglip2_multimodal_hash.experiments.rows import load_rows

    rows = load_rows()
    if arguments.list:
        for name, row in rows.items():
            print(f"{name:<11} {row.tier:<10} {len(row.variants)} variants  {row.question}")
        return
    repository = Repository()
    if arguments.dry_run:
        todo, _ = _select(arguments, rows, repository)
        for one in todo:
            print(f"  {one.name}  {_text(one.overrides)}")
        if todo:
            print(f"next: {_again(arguments, 'ablate')}")
        return
    # SIGTERM does what Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    engine.check_clean(repository)
    with engine.alone(repository.folder) as lock:
        engine.collect_finished(repository)
        todo, stale = _select(arguments, rows, repository)
        progress = Progress(len(todo), arguments.jobs)
        failed = engine.run_all(todo, repository, progress, arguments.jobs, lock)
    if arguments.report is not None:
        _report(arguments)
    for name, why in failed.items():
        print(f"FAILED {name}: {why}", file=sys.stderr)
    if failed:
        print(f"{len(failed)} failed; rerun the same command to retry them", file=sys.stderr)
    else:
        print(f"next: {_again(arguments, 'table')}")
    if failed or stale:
        sys.exit(EXIT_FAILED)


def _check(arguments: argparse.Namespace) -> None:
    if not arguments.row and not arguments.list:
        raise InputError("no row is named", "`smhash ablate --list` shows them")
    if arguments.report is not None:
        if arguments.list or arguments.dry_run:
            raise InputError(f"--report {arguments.report}: not with --list or --dry-run")
        require_free(arguments.report, inputs=[PARAMS_FILE])


def _report(arguments: argparse.Namespace) -> None:
    """Write the page of the rows; stale experiments are among them, with a note."""
    from siglip2_multimodal_hash.evaluation.significance import DRAWS
    from siglip2_multimodal_hash.experiments.ablations_page import write_ablations
    from siglip2_multimodal_hash.experiments.tables import read_tables

    tables = read_tables(arguments.row, arguments.seeds, draws=DRAWS, mixed=True)
    write_ablations(arguments.report, tables, draws=DRAWS)
    print(f"wrote {arguments.report}")


def _select(
    arguments: argparse.Namespace, rows: "dict[str, Row]", repository: "Repository"
) -> "tuple[list[Planned], int]":
    """The experiments to run, and the number of stale ones that stay as they are."""
    from siglip2_multimodal_hash.experiments.estimate import estimate
    from siglip2_multimodal_hash.experiments.plan import Plan
    from siglip2_multimodal_hash.experiments.status import State, statuses

    plan = Plan(rows, repository.params())
    chosen = plan.select(arguments.row)
    for name, why in plan.left_out.items():
        if rows[name].tier in arguments.row or "all" in arguments.row:
            print(f"row {name} is left out: {why}")
    found = statuses(plan.experiments(chosen, arguments.seeds), repository)
    stale = [] if arguments.force else [one for one in found if one.stale]
    todo = [one.planned for one in found if one.state is not State.DONE and one not in stale]
    for one in stale:
        print(f"{one.planned.name}: recorded with {one.why}; --force reruns it")
    experiments = "1 experiment" if len(found) == 1 else f"{len(found)} experiments"
    done = len(found) - len(todo) - len(stale)
    print(f"{experiments}: {done} done, {len(stale)} stale, {len(todo)} to run")
    if todo:
        print(estimate(todo, plan, repository, arguments.jobs))
    return todo, len(stale)


def _again(arguments: argparse.Namespace, command: str) -> str:
    """Another command for the same rows and seeds; the same one, without ``--dry-run``."""
    words = ["smhash", command, *arguments.row]
    if arguments.seeds is not None:
        words += ["--seeds", str(arguments.seeds)]
    if command == "ablate":
        words += ["--force"] if arguments.force else []
        words += ["--jobs", str(arguments.jobs)] if arguments.jobs > 1 else []
    return shlex.join(words)


def _text(overrides: dict[str, object]) -> str:
    from siglip2_multimodal_hash.experiments.plan import BASELINES

    shown = [f"{key}={value}" for key, value in overrides.items() if key not in BASELINES]
    left_out = " (without baselines)" if overrides.keys() & set(BASELINES) else ""
    return (" ".join(shown) or "(params.yaml)") + left_out
