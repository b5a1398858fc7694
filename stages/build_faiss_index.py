"""Index the codes of the database: under most protocols, the training split."""

from pathlib import Path

from siglip2_multimodal_hash.datasets.index import read_index
from siglip2_multimodal_hash.entry import run_stage
from siglip2_multimodal_hash.params import Params
from siglip2_multimodal_hash.retrieval.index import build_index, save_index
from siglip2_multimodal_hash.retrieval.index_kinds import kind_of
from siglip2_multimodal_hash.retrieval.store import read_head_codes


def main(params: Params, index: Path, codes: Path, out: Path) -> None:
    """Write the FAISS index and its description."""
    database = read_head_codes(codes).searchable()[read_index(index).rows("database")]
    save_index(out, build_index(database, kind_of(params.index)))


if __name__ == "__main__":
    run_stage(main, "index", "codes", "out")
