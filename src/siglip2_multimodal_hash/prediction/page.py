"""The page of ``smhash predict --explain``: photos, their tags, the neighbours that voted."""

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from siglip2_multimodal_hash.datasets.images import ImageSource
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.files import write_text
from siglip2_multimodal_hash.prediction.answer import (
    CAPTION_NOTES,
    TAGGED_BY,
    Neighbour,
    Prediction,
)
from siglip2_multimodal_hash.prediction.photos import read_photo

PHOTO, THUMBNAIL = 448, 112
MOST_BYTES = 5_000_000
QUALITY = 80

STYLE = """
:root { color-scheme: light dark; --line: #8884; --good: #3a7d44; }
@media (prefers-color-scheme: dark) { :root { --good: #7ccf8a; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; } .scroll { overflow-x: auto; }
td, th { padding: .2rem .8rem; text-align: right; border-bottom: 1px solid var(--line); }
td:first-child, th:first-child { text-align: left; }
article { border-top: 1px solid var(--line); } .photo { max-width: 100%; border-radius: 4px; }
.above, .hit { color: var(--good); font-weight: bold; }
.grid { display: grid; gap: .5rem; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); }
figure { margin: 0; font-size: .75rem; } .thumbnail { width: 7rem; border-radius: 4px; }
"""


def write_page(
    path: Path,
    predictions: Sequence[Prediction],
    notes: Sequence[str],
    images: ImageSource,
    inputs: Sequence[Path] = (),
) -> None:
    """Write one page that needs no other file.

    Args:
        path: The HTML file.
        predictions: Of the photos, which are read again for their pictures.
        notes: Remarks on all of them.
        images: Of the dataset.
        inputs: See :func:`.files.require_free`.

    Raises:
        InputError: The page would be larger than :data:`MOST_BYTES`, or cannot be written.
        DataError: A photo or a neighbour's image cannot be read.
    """
    title = "Tags and the neighbours that voted for them"
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title><style>{STYLE}</style><h1>{title}</h1>",
        *(f"<p>{html.escape(note)}</p>" for note in notes),
    ]
    size = len("".join(parts))
    for number, prediction in enumerate(predictions):
        parts.append(_article(prediction, images))
        size += len(parts[-1])
        if size > MOST_BYTES:
            raise InputError(
                f"--explain {path}: a page of {len(predictions)} photos is larger than "
                f"{MOST_BYTES / 1e6:.0f} MB",
                f"explain at most {number} of them at a time" if number else "lower --k",
            )
    # A file name need not be UTF-8: it is shown as on the terminal.
    page = ("\n".join(parts) + "\n").encode(errors="backslashreplace").decode()
    write_text(path, page, inputs=inputs)


def _article(prediction: Prediction, images: ImageSource) -> str:
    name = html.escape(str(prediction.path))
    photo = _picture(read_photo(prediction.path), PHOTO, "photo", str(prediction.path))
    caption = CAPTION_NOTES[prediction.caption_from]
    if prediction.caption_from == "given":
        caption = str(prediction.caption)
    predicted = ", ".join(prediction.predicted) or "none reaches the threshold"
    warning = ""
    if prediction.warning:
        warning = f"<p><strong>{html.escape(prediction.warning)}</strong></p>"
    return (
        f"<article><h2>{name}</h2>{photo}"
        f"<p>caption: <em>{html.escape(caption)}</em></p>"
        f"<p>tags of {TAGGED_BY}: {html.escape(predicted)}</p>{warning}"
        f'<div class="scroll">{_table(prediction)}</div>'
        f"<h3>{len(prediction.neighbours)} neighbours, nearest first</h3>"
        f"<p>Below each stand its {prediction.distance} distance (a photo that is in the database "
        "finds itself, at 0), its weight in the vote, and in green those of its labels that are "
        f'tags of {TAGGED_BY}.</p><div class="grid">'
        f"{''.join(_figure(one, prediction.distance, images) for one in prediction.neighbours)}"
        "</div></article>"
    )


def _table(prediction: Prediction) -> str:
    """Scores by tag and predictor; those at or above the threshold of their predictor stand out."""
    head = "".join(f"<th>{name}</th>" for name in ("tag", *prediction.thresholds))
    rows = "".join(
        f"<tr><td>{html.escape(tag.name)}</td>"
        + "".join(
            f'<td class="{"above" if name in tag.above else "below"}">{tag.scores[name]:.3f}</td>'
            for name in prediction.thresholds
        )
        + "</tr>"
        for tag in prediction.tags
    )
    limits = "".join(
        f"<td>{prediction.thresholds[name]:.3f}</td>" for name in prediction.thresholds
    )
    foot = f"<tr><td>threshold, tuned on val</td>{limits}</tr>"
    return (
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody><tfoot>{foot}</tfoot></table>"
    )


def _figure(one: Neighbour, kind: str, images: ImageSource) -> str:
    distance = f"{one.distance:.0f}" if kind == "hamming" else f"{one.distance:.4f}"
    labels = ", ".join(
        f'<span class="hit">{html.escape(name)}</span>' if name in one.shared else html.escape(name)
        for name in one.labels
    )
    picture = _picture(images.open(one.file_name), THUMBNAIL, "thumbnail", one.caption)
    return (
        f"<figure>{picture}<figcaption>{one.image_id}: distance {distance}, "
        f"weight {one.weight:.3f}<br>{labels or 'no label'}"
        f"<br><em>{html.escape(one.caption)}</em></figcaption></figure>"
    )


def _picture(image: Image.Image, side: int, kind: str, alt: str) -> str:
    image.thumbnail((side, side))
    stream = io.BytesIO()
    # Pixels alone: where a photo was taken is nobody's business.
    Image.frombytes("RGB", image.size, image.tobytes()).save(stream, "JPEG", quality=QUALITY)
    data = base64.b64encode(stream.getvalue()).decode()
    return f'<img class="{kind}" alt="{html.escape(alt)}" src="data:image/jpeg;base64,{data}">'
