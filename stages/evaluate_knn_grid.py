"""Try other settings of the vote on val, and predict val and test by the best of them."""

from pathlib import Path

from siglip2_multimodal_hash.datasets.index import read_index
from siglip2_multimodal_hash.entry import run_stage
from siglip2_multimodal_hash.evaluation.heads import SplitRows
from siglip2_multimodal_hash.evaluation.knn_grid import evaluate_grid
from siglip2_multimodal_hash.files import write_json
from siglip2_multimodal_hash.params import Params
from siglip2_multimodal_hash.retrieval.index import load_index
from siglip2_multimodal_hash.retrieval.index_kinds import kind_of
from siglip2_multimodal_hash.retrieval.store import read_head_codes


def main(params: Params, index: Path, codes: Path, faiss: Path, out: Path) -> None:
    """Write all settings with their val mAP, and the figures of the best ones."""
    dataset, head = read_index(index), read_head_codes(codes)
    rows = SplitRows.of(dataset)
    tried = evaluate_grid(
        head,
        load_index(faiss, head.searchable()[rows.database], kind_of(params.index)),
        dataset.labels(),
        rows,
        params.knn_grid,
        shortlist=params.knn.shortlist,
        threshold=params.knn.threshold,
        top_n_tags=params.knn.top_n_tags,
    )
    write_json(out, tried.as_json())


if __name__ == "__main__":
    run_stage(main, "index", "codes", "faiss", "out")
