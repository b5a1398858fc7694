"""Check params.yaml before anything else runs, for DVC deletes the outputs of what it runs."""

from pathlib import Path

from siglip2_multimodal_hash.entry import run_stage
from siglip2_multimodal_hash.files import write_json
from siglip2_multimodal_hash.params import Params
from siglip2_multimodal_hash.training.trackers import require_trackers


def main(params: Params, out: Path, vote: Path, kept: Path) -> None:
    """Write the same word every time, so that a change of parameters re-runs nothing by itself.

    ``vote`` gets the vote that fits follow, so that where they follow none a change of the section
    ``knn`` fits nothing anew; ``kept`` the number of neighbours to keep, so that the vote may use
    fewer of them without another search.
    """
    require_trackers(params.runtime.logging)
    write_json(out, "params.yaml: every parameter is known and allowed")
    followed = params.monitored_vote
    write_json(vote, None if followed is None else followed.model_dump(mode="json"))
    write_json(kept, params.kept_neighbours)


if __name__ == "__main__":
    run_stage(main, "out", "vote", "kept")
