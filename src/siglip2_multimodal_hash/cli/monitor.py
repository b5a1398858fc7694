"""``smhash monitor``: cards, main memory, processors, and progress of the running stages."""

import argparse
import contextlib
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from siglip2_multimodal_hash.cli.commands import Commands, new_command, print_json
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.files import PROGRESS, partial_root, read_json, size_text
from siglip2_multimodal_hash.memory.machine import (
    free_main_memory,
    query_cards,
    total_memory,
    tree_memory,
)
from siglip2_multimodal_hash.progress import duration

# The driver's name of each figure of a card, and the factor to bytes where it counts MiB.
_FIGURES = {
    "utilization": ("utilization.gpu", 1),
    "memory_used": ("memory.used", 2**20),
    "memory_total": ("memory.total", 2**20),
    "temperature": ("temperature.gpu", 1),
    "power": ("power.draw", 1),
}
_OF_EPOCH = ("train_total", "val_total", "val_mAP")
_CLEAR = "\x1b[H\x1b[2J"

Figures = dict[str, Any]


def add_parser(commands: Commands) -> None:
    """Add the command."""
    parser = new_command(commands, "monitor", monitor)
    parser.add_argument(
        "--interval",
        type=_seconds,
        default=2.0,
        metavar="SECONDS",
        help="time between updates (default: %(default)g)",
    )
    parser.add_argument(
        "--once", action="store_true", help="print once and exit, as without a terminal"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object and exit")


def monitor(arguments: argparse.Namespace) -> None:
    """Show the load of cards and main memory, and the progress of running stages, until Ctrl-C."""
    psutil.cpu_percent()  # of the time since the last call
    if arguments.json:
        time.sleep(0.1)
        print_json(look(Path.cwd()))
        return
    follows = sys.stdout.isatty() and not arguments.once
    # The usual way to end it, hence no failure.
    with contextlib.suppress(KeyboardInterrupt):
        time.sleep(0.1)
        while True:
            text = as_text(look(Path.cwd()))
            print(f"{_CLEAR}{text}" if follows else text, flush=True)
            if not follows:
                return
            time.sleep(arguments.interval)


def look(project: Path) -> Figures:
    """All figures as of now; sizes in bytes, temperatures in °C, power in W.

    Args:
        project: Root of the project; the stages are its own and those of its experiments.
    """
    total = total_memory()
    return {
        "time": datetime.now().astimezone().isoformat(timespec="seconds"),
        "cards": _cards(),
        "memory": {"used": total - free_main_memory(), "total": total},
        "processors": {"number": psutil.cpu_count(), "utilization": psutil.cpu_percent()},
        "stages": list(_stages(project)),
    }


def as_text(figures: Figures) -> str:
    """Lines for a terminal."""
    memory, processors = figures["memory"], figures["processors"]
    rows = [
        ("time", datetime.fromisoformat(figures["time"]).strftime("%Y-%m-%d %H:%M:%S")),
        ("main memory", _share(memory["used"], memory["total"])),
        ("processors", f"{processors['number']}, {processors['utilization']:.0f}% busy"),
        *((f"card {number}", _card_text(card)) for number, card in enumerate(figures["cards"])),
    ]
    if not figures["cards"]:
        rows.append(("card", "none that nvidia-smi lists"))
    for stage in figures["stages"]:
        named = f", experiment {stage['experiment']}" if stage["experiment"] else ""
        rows.append(
            (
                "stage",
                f"{stage['stage']}{named}: for {duration(stage['seconds'])}, "
                f"{size_text(stage['memory'])}, process {stage['process']}",
            )
        )
        epoch = [f"{key} {stage['epoch'][key]:.4f}" for key in _OF_EPOCH if key in stage["epoch"]]
        if stage["done"]:
            rows.append(("", ": ".join(filter(None, (stage["done"], ", ".join(epoch))))))
    if not figures["stages"]:
        rows.append(("stage", "none is running here"))
    return "\n".join(f"{name:<11}  {said}" for name, said in rows)


def _cards() -> list[Figures]:
    """One entry per card; None for a figure that it does not report."""
    cards = []
    names = [name for name, _ in _FIGURES.values()]
    for name, *values in query_cards("name", *names):
        card: Figures = {"name": name}
        for (key, (_, factor)), value in zip(_FIGURES.items(), values, strict=True):
            known = re.fullmatch(r"\d+(\.\d+)?", value)  # else [N/A], [Not Supported], ...
            card[key] = float(value) * factor if known else None
        cards.append(card)
    return cards


def _stages(project: Path) -> Iterator[Figures]:
    """The running stages of a project and of the copies that its experiments run in."""
    for process in psutil.process_iter():
        # It may end at any time, or be somebody else's.
        with contextlib.suppress(psutil.Error):
            words, folder = process.cmdline(), Path(process.cwd())
            module = words[2] if words[1:2] == ["-m"] and len(words) > 2 else ""
            if module.startswith("stages.") and (
                folder == project or folder.is_relative_to(project / ".dvc/tmp/exps")
            ):
                yield {
                    "stage": module.removeprefix("stages."),
                    "experiment": process.environ().get("DVC_EXP_NAME"),
                    "process": process.pid,
                    "seconds": time.time() - process.create_time(),
                    "memory": tree_memory(process),
                    **_progress(folder, words),
                }


def _progress(folder: Path, words: Sequence[str]) -> Figures:
    """Progress of an unfinished output, and the last epoch of a fit."""
    out = words[words.index("--out") + 1] if "--out" in words[:-1] else ""
    try:
        recorded: Mapping[str, Any] = read_json(
            folder / partial_root(Path(out or ".out")) / PROGRESS
        )
        history = recorded["progress"].get("state", {}).get("history", [{}])
        return {"done": recorded["done"], "epoch": history[-1]}
    # There is none yet, or none of this kind.
    except (InputError, LookupError, TypeError, AttributeError):
        return {"done": "", "epoch": {}}


def _card_text(card: Figures) -> str:
    said = [f"{card['name']}: {_share(card['memory_used'], card['memory_total'])}"]
    for key, unit in (("utilization", "% busy"), ("temperature", " °C"), ("power", " W")):
        if card[key] is not None:
            said.append(f"{card[key]:.0f}{unit}")
    return ", ".join(said)


def _share(used: float | None, total: float | None) -> str:
    if used is None or not total:
        return "memory unknown"
    return f"{size_text(used)} of {size_text(total)} ({100 * used / total:.0f}%)"


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0.1 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: must be at least 0.1")
    return seconds
