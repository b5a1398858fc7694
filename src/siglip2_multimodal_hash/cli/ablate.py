"""``smhash ablate``."""

import argparse
import sys

from siglip2_multimodal_hash.cli.commands import Commands, new_command
from siglip2_multimodal_hash.errors import InputError

EXIT_FAILED = 1


def add_parser(commands: Commands) -> None:
    """Add the command."""
    parser = new_command(commands, "ablate", ablate)
    parser.add_argument("row", nargs="*", help="rows of configs/ablations.yaml, tiers, or `all`")
    parser.add_argument("--list", action="store_true", help="show the rows and their questions")
    parser.add_argument(
        "--seeds", type=int, help="how many; seed N is params.yaml's plus N (default: the row's)"
    )
    parser.add_argument("--dry-run", action="store_true", help="show what would run")
    parser.add_argument(
        "--force", action="store_true", help="run again those of other code or parameters"
    )
    parser.add_argument("--queue", action="store_true", help="through DVC's queue")
    parser.add_argument(
        "--jobs", type=int, default=1, help="how many at a time; more than 1 needs --queue"
    )


def ablate(arguments: argparse.Namespace) -> None:
    """Run rows of experiments, those that are missing, each in a copy of the repository."""
    _check(arguments)
    # Other commands need not wait for what this one loads.
    from siglip2_multimodal_hash.ablations import run as running
    from siglip2_multimodal_hash.ablations.plan import Plan
    from siglip2_multimodal_hash.ablations.progress import Progress
    from siglip2_multimodal_hash.ablations.repository import Repository
    from siglip2_multimodal_hash.ablations.rows import load_rows
    from siglip2_multimodal_hash.ablations.status import State, statuses

    rows = load_rows()
    if arguments.list:
        for name, row in rows.items():
            print(f"{name:<11} {row.tier:<10} {len(row.variants)} variants  {row.question}")
        return
    repository = Repository()
    repository.head()
    if not arguments.dry_run:
        running.check_clean(repository)
    plan = Plan(rows, repository.params())
    chosen = plan.select(arguments.row)
    for name, why in plan.left_out.items():
        if rows[name].tier in arguments.row or "all" in arguments.row:
            print(f"row {name} is left out: {why}")
    found = statuses(plan.experiments(chosen, arguments.seeds), repository)
    missing = [one for one in found if one.state is State.MISSING]
    wrong = [one for one in found if one.state in (State.OTHER, State.OTHER_CODE)]
    todo = [one for one in found if one in missing or (arguments.force and one in wrong)]
    left = [] if arguments.force else wrong
    for one in left:
        print(f"{one.wanted.name}: is there with {one.why}; --force runs it again")
    there = len(found) - len(todo) - len(left)
    experiments = "1 experiment" if len(found) == 1 else f"{len(found)} experiments"
    print(f"{experiments}: {there} there, {len(left)} of another make, {len(todo)} to run")
    if arguments.dry_run:
        for one in todo:
            print(f"  {one.wanted.name}  {_text(one.wanted.overrides)}")
        return
    failed: dict[str, str] = {}
    if todo:
        progress = Progress(len(todo), arguments.jobs)
        with running.alone(repository.folder) as lock, running.terminated_is_interrupted():
            if arguments.queue:
                from siglip2_multimodal_hash.ablations.queued import run_queued

                failed = run_queued(todo, repository, progress, arguments.jobs).failed
            else:
                failed = running.run_all(todo, repository, progress, lock).failed
    _finish(failed, len(left))


def _check(arguments: argparse.Namespace) -> None:
    if not arguments.row and not arguments.list:
        raise InputError("no row is named", "`smhash ablate --list` shows them")
    if arguments.seeds is not None and arguments.seeds < 1:
        raise InputError(f"--seeds {arguments.seeds}: at least 1")
    if arguments.jobs < 1:
        raise InputError(f"--jobs {arguments.jobs}: at least 1")
    if arguments.jobs > 1 and not arguments.queue:
        raise InputError(
            f"--jobs {arguments.jobs}: only DVC's queue runs several at a time", "add --queue"
        )


def _text(overrides: dict[str, object]) -> str:
    from siglip2_multimodal_hash.ablations.plan import BASELINES

    shown = [f"{key}={value}" for key, value in overrides.items() if key not in BASELINES]
    left_out = " (without baselines)" if overrides.keys() & set(BASELINES) else ""
    return (" ".join(shown) or "(params.yaml)") + left_out


def _finish(failed: dict[str, str], left: int) -> None:
    """Say what is missing; exit code 1 where something is."""
    for name, why in failed.items():
        print(f"FAILED {name}: {why}", file=sys.stderr)
    if failed:
        print(f"{len(failed)} failed; the same command runs them again", file=sys.stderr)
    if failed or left:
        sys.exit(EXIT_FAILED)
