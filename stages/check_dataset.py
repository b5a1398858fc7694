"""Check the parameters whose limits the dataset sets, before the first fit."""

from pathlib import Path

from siglip2_multimodal_hash.entry import run_stage
from siglip2_multimodal_hash.files import read_output, write_json
from siglip2_multimodal_hash.params import Params
from siglip2_multimodal_hash.training.limits import check_limits


def main(params: Params, statistics: Path, out: Path) -> None:
    """Write the same word every time, so that a change of parameters re-runs nothing by itself."""
    with read_output(statistics, "run `dvc repro build_dataset_index`") as found:
        check_limits(params, found)
    write_json(out, "params.yaml: every parameter suits the dataset")


if __name__ == "__main__":
    run_stage(main, "statistics", "out")
