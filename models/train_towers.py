"""Train the embedded tiny SigLIP 2 towers, judge them and plot their curves.

See ``models/README.md``.
"""

import argparse
import os
from functools import partial
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent
FIXED: Final = HERE / "siglip2-tiny-patch16-128"
NAFLEX: Final = HERE / "siglip2-tiny-naflex"

SPEED: Final = {
    # The widest kernels of the CPU instead of the project's pinned ones: weights that come out
    # of a run by the clock differ from run to run anyway.
    "ONEDNN_MAX_CPU_ISA": "ALL",
    "MKL_ENABLE_INSTRUCTIONS": "AVX512",
    "MKL_CBWR": "OFF",
    "OMP_NUM_THREADS": "1",
    # A step frees and takes the same large blocks. Handing them back to the operating system in
    # between makes it several times slower.
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(100 * 1000**3),
    "MALLOC_TOP_PAD_": str(1000**3),
}


def hurry() -> None:
    """Set up the environment of the training processes, which they inherit.

    Must run before the package is imported.
    """
    os.environ.update(SPEED)
    cpu = Path("/proc/cpuinfo")
    if cpu.exists() and "avx512f" in cpu.read_text(encoding="utf-8"):
        os.environ["ATEN_CPU_CAPABILITY"] = "avx512"


def train(arguments: argparse.Namespace) -> None:
    """Train one of the two checkpoints."""
    hurry()
    import torch

    from siglip2_multimodal_hash.training.towers import parallel

    on_gpu = torch.cuda.is_available()
    processes = 1 if on_gpu else arguments.processes
    parallel.run(processes, partial(_train_here, vars(arguments), on_gpu=on_gpu))


def _train_here(options: dict[str, Any], *, on_gpu: bool) -> None:
    """What each process does; several have one thread each and render their own scenes."""
    from dataclasses import replace

    import torch
    import transformers

    from siglip2_multimodal_hash.training.towers.fixed import FIXED_PLAN, train_fixed
    from siglip2_multimodal_hash.training.towers.naflex import NAFLEX_PLAN, train_naflex
    from siglip2_multimodal_hash.training.towers.pretraining import Places

    # It warns of default values of its own, which these configurations do not use.
    library: Any = transformers
    library.logging.set_verbosity_error()
    library.logging.disable_progress_bar()
    # Second moments of the optimizer reach numbers so small that CPUs slow down on them.
    torch.set_flush_denormal(True)
    out: Path = options["out"]
    curve: Path = options["curve"] or out.parent / "curves" / f"{out.name}.csv"
    state: Path = options["state"] or Path("outputs") / "towers" / out.name
    device = torch.device("cuda" if on_gpu else "cpu")
    workers = (os.cpu_count() or 1) if on_gpu else 0
    plan = FIXED_PLAN if options["command"] == "fixed" else NAFLEX_PLAN
    if options["minutes"] is not None:
        plan = replace(plan, minutes=options["minutes"])
    places = Places(out, state, curve)
    if options["command"] == "fixed":
        train_fixed(plan, places, device=device, workers=workers)
    else:
        train_naflex(plan, options["init"], places, device=device, workers=workers)


def evaluate(arguments: argparse.Namespace) -> None:
    """Print the zero-shot macro mAP of a checkpoint on fresh scenes."""
    from siglip2_multimodal_hash.training.towers.stream import VALIDATION
    from siglip2_multimodal_hash.training.towers.zero_shot import (
        evaluate_checkpoint,
        labelled_scenes,
    )

    scenes = labelled_scenes(VALIDATION, arguments.scenes)
    score = evaluate_checkpoint(arguments.checkpoint, scenes)
    print(f"zero-shot macro mAP on {arguments.scenes} fresh scenes: {score:.4f}")


def plot(arguments: argparse.Namespace) -> None:
    """Draw the curves of both trainings."""
    from siglip2_multimodal_hash.training.towers.curve_plot import plot_curves

    curves = {folder.name: HERE / "curves" / f"{folder.name}.csv" for folder in (FIXED, NAFLEX)}
    plot_curves(curves, arguments.picture)


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """The command line as options; ``run`` is the function to call with them."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, folder, text in (
        ("fixed", FIXED, "train the fixed-resolution checkpoint from scratch"),
        ("naflex", NAFLEX, "train the NaFlex checkpoint from the fixed-resolution one"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--minutes", type=float, help="how long to train")
        command.add_argument("--out", type=Path, default=folder, help="folder of the checkpoint")
        command.add_argument("--state", type=Path, help="folder to go on from if interrupted")
        command.add_argument("--curve", type=Path, help="CSV of the training curve")
        command.add_argument("--processes", type=int, default=2, help="on a CPU: one a core")
        command.set_defaults(run=train)
        if name == "naflex":
            command.add_argument("--init", type=Path, default=FIXED, help="checkpoint to start at")
    judge = commands.add_parser("evaluate", help="zero-shot macro mAP of a checkpoint")
    judge.add_argument("checkpoint", type=Path)
    judge.add_argument("--scenes", type=int, default=1000)
    judge.set_defaults(run=evaluate)
    draw = commands.add_parser("plot", help="draw the training curves")
    draw.add_argument("--picture", type=Path, default=HERE / "curve.svg")
    draw.set_defaults(run=plot)
    return parser.parse_args(words)


def main() -> None:
    """Run the command."""
    from siglip2_multimodal_hash.errors import run_guarded

    arguments = parse()
    run_guarded(lambda: arguments.run(arguments))


if __name__ == "__main__":
    main()
