"""Train the embedded tiny SigLIP 2 towers, evaluate them and plot their curves.

See ``models/README.md``.
"""

import argparse
import os
from functools import partial
from pathlib import Path

MODELS = Path(__file__).resolve().parents[1]
FIXED = MODELS / "siglip2-tiny-patch16-128"
NAFLEX = MODELS / "siglip2-tiny-naflex"

SPEED = {
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

    Must run before the library and PyTorch are imported.
    """
    os.environ.update(SPEED)
    cpu = Path("/proc/cpuinfo")
    if cpu.exists() and "avx512f" in cpu.read_text(encoding="utf-8"):
        os.environ["ATEN_CPU_CAPABILITY"] = "avx512"


def train(arguments: argparse.Namespace) -> None:
    """Train one of the two checkpoints."""
    hurry()
    import torch

    from models.pretrain import parallel, recipes
    from models.pretrain.loop import Places

    out: Path = arguments.out
    places = Places(
        out,
        arguments.state or Path("outputs") / "towers" / out.name,
        arguments.curve or out.parent / "curves" / f"{out.name}.csv",
    )
    processes = 1 if torch.cuda.is_available() else arguments.processes
    task = partial(recipes.train, places, minutes=arguments.minutes, init=arguments.init)
    parallel.run(processes, task)


def evaluate(arguments: argparse.Namespace) -> None:
    """Print the zero-shot macro mAP of a checkpoint on fresh scenes."""
    from models.pretrain.scenes import VALIDATION
    from models.pretrain.zero_shot import evaluate_checkpoint, labelled_scenes

    scenes = labelled_scenes(VALIDATION, arguments.scenes)
    score = evaluate_checkpoint(arguments.checkpoint, scenes)
    print(f"zero-shot macro mAP on {arguments.scenes} fresh scenes: {score:.4f}")


def plot(arguments: argparse.Namespace) -> None:
    """Draw the curves of both trainings."""
    from models.pretrain.curve import plot_curves

    curves = {folder.name: MODELS / "curves" / f"{folder.name}.csv" for folder in (FIXED, NAFLEX)}
    plot_curves(curves, arguments.picture)


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line; ``run`` is the function to call with them."""
    parser = argparse.ArgumentParser("python -m models.pretrain", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, folder, text in (
        ("fixed", FIXED, "train the fixed-resolution checkpoint from scratch"),
        ("naflex", NAFLEX, "train the NaFlex checkpoint from the fixed-resolution one"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--minutes", type=float, help="training time")
        command.add_argument("--out", type=Path, default=folder, help="folder of the checkpoint")
        command.add_argument("--state", type=Path, help="folder of the resumable state")
        command.add_argument("--curve", type=Path, help="CSV of the training curve")
        command.add_argument("--processes", type=int, default=2, help="on a CPU: one per core")
        command.set_defaults(run=train)
        if name == "naflex":
            command.add_argument("--init", type=Path, default=FIXED, help="checkpoint to start at")
        else:
            command.set_defaults(init=None)
    judge = commands.add_parser("evaluate", help="zero-shot macro mAP of a checkpoint")
    judge.add_argument("checkpoint", type=Path)
    judge.add_argument("--scenes", type=int, default=1000)
    judge.set_defaults(run=evaluate)
    draw = commands.add_parser("plot", help="draw the training curves")
    draw.add_argument("--picture", type=Path, default=MODELS / "curve.svg")
    draw.set_defaults(run=plot)
    return parser.parse_args(words)


def main() -> None:
    """Run the command."""
    from siglip2_multimodal_hash.errors import run_guarded

    arguments = parse()
    run_guarded(lambda: arguments.run(arguments))


if __name__ == "__main__":
    main()
