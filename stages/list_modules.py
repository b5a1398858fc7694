"""List the files of the project that each stage runs, for DVC to see which of them changed."""

from pathlib import Path

from siglip2_multimodal_hash.entry import run_stage
from siglip2_multimodal_hash.files import write_text
from siglip2_multimodal_hash.modules import Sources, listed
from siglip2_multimodal_hash.params import Params


def main(params: Params, root: Path, out: Path) -> None:
    """Write a file for each stage: digests and paths."""
    sources = Sources.in_folder(root)
    for name in sources.stages():
        write_text(out / f"{name}.txt", listed(sources.of_stage(name)))


if __name__ == "__main__":
    run_stage(main, "root", "out")
