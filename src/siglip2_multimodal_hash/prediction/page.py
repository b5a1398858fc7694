"""The page of ``smhash predict --explain``: photos, their tags, the neighbours that voted."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader
from markupsafe import Markup
from PIL import Image

from siglip2_multimodal_hash.datasets.images import ImageSource
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.files import write_text
from siglip2_multimodal_hash.prediction.answer import CAPTION_NOTES, TAGGED_BY, Prediction
from siglip2_multimodal_hash.prediction.photos import read_photo

PHOTO, THUMBNAIL = 448, 112
MOST_BYTES = 5_000_000
QUALITY = 80


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
    templates = Environment(
        loader=PackageLoader("siglip2_multimodal_hash.prediction", ""),
        autoescape=True,
        trim_blocks=True,
    )
    page, article = templates.get_template("page.html"), templates.get_template("article.html")
    articles: list[Markup] = []
    size = len(page.render(notes=notes, articles=[]))
    for number, prediction in enumerate(predictions):
        text = article.render(
            one=prediction,
            photo=_picture(read_photo(prediction.path), PHOTO),
            neighbours=[
                (near, _picture(images.open(near.file_name), THUMBNAIL))
                for near in prediction.neighbours
            ],
            caption_notes=CAPTION_NOTES,
            tagged_by=TAGGED_BY,
        )
        articles.append(Markup(text))
        size += len(text)
        if size > MOST_BYTES:
            raise InputError(
                f"--explain {path}: a page of {len(predictions)} photos is larger than "
                f"{MOST_BYTES / 1e6:.0f} MB",
                f"explain at most {number} of them at a time" if number else "lower --k",
            )
    # A file name need not be UTF-8: it is shown as on the terminal.
    written = page.render(notes=notes, articles=articles) + "\n"
    write_text(path, written.encode(errors="backslashreplace").decode(), inputs=inputs)


def _picture(image: Image.Image, side: int) -> str:
    image.thumbnail((side, side))
    stream = io.BytesIO()
    # Pixels alone: where a photo was taken is nobody's business.
    Image.frombytes("RGB", image.size, image.tobytes()).save(stream, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
