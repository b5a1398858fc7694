"""Predict val and test from neighbours in the database, from the classifier, and from both."""

from pathlib import Path

from siglip2_multimodal_hash.datasets.index import read_index
from siglip2_multimodal_hash.entry import run_stage
from siglip2_multimodal_hash.evaluation.heads import SplitRows, evaluate_head
from siglip2_multimodal_hash.evaluation.items import Items
from siglip2_multimodal_hash.evaluation.store import write_evaluation
from siglip2_multimodal_hash.params import Params
from siglip2_multimodal_hash.retrieval.index import load_index
from siglip2_multimodal_hash.retrieval.index_kinds import kind_of
from siglip2_multimodal_hash.retrieval.store import read_head_codes


def main(params: Params, index: Path, codes: Path, faiss: Path, out: Path) -> None:
    """Write figures, scores and neighbours."""
    dataset, head = read_index(index), read_head_codes(codes)
    rows = SplitRows.of(dataset)
    database = load_index(faiss, head.searchable()[rows.database], kind_of(params.index))
    evaluation = evaluate_head(head, database, dataset.labels(), rows, params.knn)
    write_evaluation(out, evaluation, Items.of(dataset))


if __name__ == "__main__":
    run_stage(main, "index", "codes", "faiss", "out")
