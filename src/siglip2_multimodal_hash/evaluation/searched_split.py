"""The queries of one split, searched once by each distance and voted for in many ways."""

from dataclasses import dataclass, field

from scipy.sparse import csr_array

from siglip2_multimodal_hash.arrays import Labels, Scores
from siglip2_multimodal_hash.evaluation.average_precision import mean_average_precision
from siglip2_multimodal_hash.params import Distance, Hnsw, Vote
from siglip2_multimodal_hash.retrieval.index import CodeIndex
from siglip2_multimodal_hash.retrieval.neighbours import Neighbours, SoftAndPacked
from siglip2_multimodal_hash.retrieval.search import find_neighbours
from siglip2_multimodal_hash.retrieval.voting import vote_scores


@dataclass(frozen=True, eq=False)
class SearchedSplit:
    """The queries of one split and what they are searched in.

    Attributes:
        queries: Their codes.
        database: The codes of the database.
        classifier: Its scores of the queries, float32 [Q, C], where there is one.
        index: Over the database.
        labels: Of the queries, uint8 [Q, C].
        database_labels: See :func:`..retrieval.voting.sparse_labels`; float64 [D, C].
        shortlist: Candidates that the distance ``hybrid`` re-ranks.
        threshold: Least similarity that may vote under the vote ``threshold``.
        found: By distance the neighbours that were searched.
    """

    queries: SoftAndPacked
    database: SoftAndPacked
    classifier: Scores | None
    index: CodeIndex
    labels: Labels
    database_labels: csr_array
    shortlist: int
    threshold: float
    found: dict[Distance, Neighbours] = field(default_factory=dict)

    def neighbours(self, distance: Distance, K: int) -> Neighbours:
        """The K nearest of each query: the first of more, where more were searched before.

        A graph is searched anew, because there a search for more also looks further.
        """
        before = self.found.get(distance)
        known = 0 if before is None else before.rows.shape[1]
        if known != K and (known < K or isinstance(self.index.kind, Hnsw)):
            self.found[distance] = find_neighbours(
                self.index,
                self.queries,
                self.database,
                distance=distance,
                K=K,
                shortlist=self.shortlist,
            )
        return first(self.found[distance], K)

    def vote(self, neighbours: Neighbours, vote: Vote, tau: float | None) -> Scores:
        """Scores of the classes, float32 [Q, C]; a vote without a tau reads none."""
        return vote_scores(
            neighbours, self.database_labels, vote, tau=tau or 1.0, threshold=self.threshold
        )

    def mean_average_precision(self, scores: Scores) -> float:
        """Macro mAP of scores of the queries."""
        return mean_average_precision(scores, self.labels).value


def first(neighbours: Neighbours, K: int) -> Neighbours:
    """The K nearest of each query."""
    return Neighbours(neighbours.rows[:, :K], neighbours.similarities[:, :K])
