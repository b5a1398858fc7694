"""The report: one self-contained HTML page with the figures, the plots and a gallery of queries."""

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.datasets.images import ImageSource
from siglip2_multimodal_hash.datasets.index import DatasetIndex
from siglip2_multimodal_hash.evaluation.store import StoredEvaluation
from siglip2_multimodal_hash.files import replacing
from siglip2_multimodal_hash.reporting.errors_text import errors_html
from siglip2_multimodal_hash.reporting.tables import BASELINE_COLUMNS, in_order
from siglip2_multimodal_hash.retrieval.neighbours import NO_ROW

THUMBNAIL = 112
SHOWN_NEIGHBOURS = 6

STYLE = """
:root { color-scheme: light dark; --line: #8884; --good: #3a7d44; --bad: #d1495b; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; } td, th { padding: .2rem .8rem; text-align: right;
border-bottom: 1px solid var(--line); } td:first-child, th:first-child { text-align: left; }
img.wide { max-width: 100%; background: #fff; } article { border-top: 1px solid var(--line);
padding: 1rem 0; display: grid; grid-template-columns: 8rem 1fr; gap: 1rem; }
figure { margin: 0 .5rem .5rem 0; display: inline-block; width: 7rem; font-size: .75rem;
vertical-align: top; }
figure img { width: 100%; border-radius: 4px; } .hit { color: var(--good); }
.miss { color: var(--bad); } .tags { margin: .2rem 0; } .scroll { overflow-x: auto; }
"""


def write_report(
    path: Path,
    *,
    title: str,
    baselines: dict[str, dict[str, float]],
    overview: Path,
    dataset: DatasetIndex,
    evaluation: StoredEvaluation,
    images: ImageSource | None,
    queries: int,
    top_n: int,
    errors: dict[str, Any] | None = None,
) -> None:
    """Write the page.

    Args:
        path: The HTML file.
        title: What was evaluated.
        baselines: Rows of the comparison; see :func:`.tables.baseline_metrics`.
        overview: The PNG of :func:`.pictures.draw_overview`.
        dataset: The index.
        evaluation: Of the head.
        images: Where the photos are; None leaves them out.
        queries: Test images in the gallery, spread evenly over the split.
        top_n: Tags that are predicted an image.
        errors: See :func:`..evaluation.error_analysis.analyse_errors`; None leaves them out.
    """
    rows = dataset.rows("test")
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(queries, len(rows))).astype(np.int64))
    gallery = _Gallery(dataset, evaluation, images, top_n)
    picture = base64.b64encode(overview.read_bytes()).decode()
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{html.escape(title)}</title><style>{STYLE}</style>",
        f"<h1>{html.escape(title)}</h1>",
        "<h2>mAP on test, in percent</h2>",
        f'<div class="scroll">{_table(baselines)}</div>',
        "<p><code>knn</code>, <code>mlp</code>, <code>hybrid</code> and <code>zero_shot</code> are "
        "macro mAP of tags; <code>retrieval</code> is tie-aware mAP@all of the codes.</p>",
        f'<img class="wide" alt="Overview" src="data:image/png;base64,{picture}">',
        *([] if errors is None else errors_html(errors)),
        "<h2>Queries and their neighbours</h2>",
        "<p>Predicted tags are those of <code>knn</code>, right ones in green. Below a neighbour "
        "stand its similarity (1: equal codes) and the labels that it shares with the query.</p>",
        *(gallery.article(int(query), int(rows[query])) for query in chosen),
    ]
    with replacing(path) as temporary:
        temporary.write_text("\n".join(parts) + "\n", encoding="utf-8")


class _Gallery:
    def __init__(
        self,
        dataset: DatasetIndex,
        evaluation: StoredEvaluation,
        images: ImageSource | None,
        top_n: int,
    ) -> None:
        self._frame = dataset.frame
        self._labels = dataset.labels()
        self._names = np.array(dataset.category_names)
        self._database = dataset.rows("database")
        self._test = evaluation.predictions["test"]
        self._images = images
        self._top_n = top_n

    def article(self, query: int, row: int) -> str:
        """One query: its caption, true and predicted tags, and nearest neighbours."""
        scores = self._test.scores["knn"][query]
        neighbours = self._test.neighbours
        shown = [
            self._neighbour(row, int(self._database[item]), float(similarity))
            for item, similarity in zip(
                neighbours.rows[query, :SHOWN_NEIGHBOURS],
                neighbours.similarities[query, :SHOWN_NEIGHBOURS],
                strict=True,
            )
            if item != NO_ROW
        ]
        return (
            f"<article><div>{self._figure(row, '')}</div><div>"
            f"<em>{html.escape(self._caption(row))}</em>"
            f'<p class="tags">true: {html.escape(", ".join(self._tags(row)) or "none")}</p>'
            f'<p class="tags">predicted: {self._predicted(scores, row)}</p>'
            f"{''.join(shown)}</div></article>"
        )

    def _predicted(self, scores: npt.NDArray[np.float32], row: int) -> str:
        order = np.argsort(-scores, kind="stable")[: self._top_n]
        return ", ".join(
            f'<span class="{"hit" if self._labels[row, c] else "miss"}">'
            f"{html.escape(self._names[c])} {scores[c]:.2f}</span>"
            for c in order
            if scores[c] > 0
        )

    def _neighbour(self, query: int, row: int, similarity: float) -> str:
        shared = self._names[(self._labels[query] & self._labels[row]).astype(bool)]
        note = f"{similarity:.2f} {', '.join(shared) or 'nothing shared'}"
        return self._figure(row, note)

    def _figure(self, row: int, note: str) -> str:
        caption = f"<figcaption>{html.escape(note)}</figcaption>" if note else ""
        return f"<figure>{self._picture(row)}{caption}</figure>"

    def _picture(self, row: int) -> str:
        name = str(self._frame["file_name"].iat[row])
        if self._images is None:
            return html.escape(name)
        image = self._images.open(name)
        image.thumbnail((THUMBNAIL, THUMBNAIL))
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=80)
        data = base64.b64encode(stream.getvalue()).decode()
        return f'<img alt="{html.escape(self._caption(row))}" src="data:image/jpeg;base64,{data}">'

    def _caption(self, row: int) -> str:
        captions: Any = self._frame["captions"].iat[row]
        return str(captions[0]).strip()

    def _tags(self, row: int) -> list[str]:
        tags: list[str] = self._names[self._labels[row].astype(bool)].tolist()
        return tags


def _table(rows: dict[str, dict[str, Any]], columns: Sequence[str] = BASELINE_COLUMNS) -> str:
    head = "".join(f"<th>{html.escape(column)}</th>" for column in ("row", *columns))
    body = "".join(
        f"<tr><td>{html.escape(name)}</td>"
        + "".join(f"<td>{100 * row[c]:.1f}</td>" if c in row else "<td></td>" for c in columns)
        + "</tr>"
        for name, row in ((name, rows[name]) for name in in_order(rows))
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
