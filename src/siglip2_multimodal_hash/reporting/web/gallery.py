"""The gallery as data: queries with their tags and neighbours, which gallery.js shows.

The data are plain JSON, so that another page can show cards of its own with the same script:

- ``names``: the C class names. ``predictors``: columns of ``tags``. ``bits``: of a code, or null.
- ``photos``: by key ``{"file", "caption"}``; ``"url"`` where the picture is embedded, ``"link"``
  where the photo itself is reached on this machine's disk.
- ``cards``: ``photo`` (key), ``id`` (of the image), ``true`` (classes), ``tags`` (class, then one
  score per predictor; the best first), ``decided`` (classes at the tuned threshold), ``f1``,
  ``right`` (decided = true),
  ``neighbours`` (key, Hamming distance or null, similarity, weight in the vote, shared classes),
  ``rest`` (neighbours that are not listed, and their weight).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from siglip2_multimodal_hash.reporting.web.inputs import ReportInputs
from siglip2_multimodal_hash.reporting.web.thumbnails import NEIGHBOUR_SIDE, QUERY_SIDE
from siglip2_multimodal_hash.retrieval.neighbours import NO_ROW
from siglip2_multimodal_hash.retrieval.voting import weights_of

LISTED = 20
MANY_QUERIES = 120

Json = dict[str, Any]


def gallery_data(inputs: ReportInputs, queries: int) -> Json:
    """The data of the gallery, without pictures.

    Args:
        inputs: Results of the evaluation.
        queries: Images of test, spread evenly over the split.
    """
    rows = inputs.dataset.rows("test")
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(queries, len(rows))).astype(np.int64))
    cards = _Cards(inputs)
    shown = [cards.card(int(query)) for query in chosen]
    return {
        "names": list(inputs.dataset.category_names),
        "predictors": list(inputs.scores),
        "bits": None if inputs.codes.packed is None else 8 * inputs.codes.packed.shape[1],
        "threshold": round(cards.threshold, 4),
        "photos": cards.photos(shown),
        "cards": shown,
    }


def wanted_pictures(data: Json) -> Iterator[tuple[str, str, int]]:
    """Key, file name and side of every picture: queries, then the nearest neighbours of all."""
    side = QUERY_SIDE if len(data["cards"]) <= MANY_QUERIES else QUERY_SIDE // 2
    for card in data["cards"]:
        yield card["photo"], data["photos"][card["photo"]]["file"], side
    for rank in range(LISTED):
        for card in data["cards"]:
            for key, *_ in card["neighbours"][rank : rank + 1]:
                yield key, data["photos"][key]["file"], NEIGHBOUR_SIDE


class _Cards:
    def __init__(self, inputs: ReportInputs) -> None:
        self._inputs = inputs
        self._frame = inputs.dataset.frame
        self._labels = inputs.dataset.labels().astype(bool)
        self._test = inputs.dataset.rows("test")
        self._database = inputs.dataset.rows("database")
        self._neighbours = inputs.evaluation.predictions["test"].neighbours
        knn = inputs.knn
        self._found = self._neighbours.rows != NO_ROW
        self._weights = weights_of(self._neighbours, knn.vote, tau=knn.tau, threshold=knn.threshold)
        self._first = next(iter(inputs.scores))
        self.threshold: float = inputs.evaluation.figures[self._first]["threshold"]["tuned"]

    def card(self, query: int) -> Json:
        """One query; its tags are those of the vote, with the other predictors beside them."""
        row = int(self._test[query])
        scores = {name: own[query] for name, own in self._inputs.scores.items()}
        voted = scores[self._first]
        true = self._labels[row]
        decided = voted >= self.threshold
        order = np.argsort(-voted, kind="stable")
        best = order[: self._inputs.knn.top_n_tags]
        shown = [int(c) for c in order if true[c] or decided[c] or (c in best and voted[c] > 0)]
        total = int(true.sum() + decided.sum())
        listed = int(self._found[query].sum())
        weights = self._weights[query]
        return {
            "photo": str(row),
            "id": str(self._frame["image_id"].iat[row]),
            "true": np.flatnonzero(true).tolist(),
            "tags": [[c, *(round(float(own[c]), 3) for own in scores.values())] for c in shown],
            "decided": np.flatnonzero(decided).tolist(),
            "f1": round(2 * int((true & decided).sum()) / total, 3) if total else 1.0,
            "right": bool((true == decided).all()),
            "neighbours": [self._neighbour(query, rank) for rank in range(min(LISTED, listed))],
            "rest": [max(0, listed - LISTED), round(float(weights[LISTED:].sum()), 4)],
        }

    def _neighbour(self, query: int, rank: int) -> list[Any]:
        of, row = int(self._test[query]), int(self._database[self._neighbours.rows[query, rank]])
        packed = self._inputs.codes.packed
        return [
            f"n{row}",
            None if packed is None else int(np.bitwise_count(packed[of] ^ packed[row]).sum()),
            round(float(self._neighbours.similarities[query, rank]), 4),
            round(float(self._weights[query, rank]), 4),
            np.flatnonzero(self._labels[of] & self._labels[row]).tolist(),
        ]

    def photos(self, cards: list[Json]) -> Json:
        """File name and first caption of every photo on the cards."""
        keys = [
            key for card in cards for key in (card["photo"], *(n[0] for n in card["neighbours"]))
        ]
        return {key: self._photo(int(key.removeprefix("n"))) for key in dict.fromkeys(keys)}

    def _photo(self, row: int) -> Json:
        captions: Any = self._frame["captions"].iat[row]
        file = str(self._frame["file_name"].iat[row])
        return {"file": file, "caption": str(captions[0]).strip()}
