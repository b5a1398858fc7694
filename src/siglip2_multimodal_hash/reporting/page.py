"""The report: one self-contained HTML page with the figures, the plots and a gallery of queries."""

from collections.abc import Callable, Iterable
from pathlib import Path

from siglip2_multimodal_hash.datasets.images import ImageSource
from siglip2_multimodal_hash.files import write_text
from siglip2_multimodal_hash.reporting.web import charts, tables
from siglip2_multimodal_hash.reporting.web.addresses import photo_address
from siglip2_multimodal_hash.reporting.web.gallery import gallery_data, wanted_pictures
from siglip2_multimodal_hash.reporting.web.glossary import TERMS, term_id
from siglip2_multimodal_hash.reporting.web.inputs import Json, ReportInputs
from siglip2_multimodal_hash.reporting.web.template import page_text
from siglip2_multimodal_hash.reporting.web.thumbnails import within_budget

MOST_BYTES = 5_000_000


def write_report(
    path: Path,
    inputs: ReportInputs,
    *,
    images: ImageSource | None,
    locate: Callable[[str], Path] | None,
    queries: int,
) -> None:
    """Write the page, of at most :data:`MOST_BYTES`: pictures fill what the rest leaves.

    A photo that is not embedded is shown from disk if it is located, else by its name.

    Args:
        path: The HTML file.
        inputs: Results of the evaluation.
        images: Source of the photos to embed; None embeds none.
        locate: The path of a photo by its file name, to link to; None links to none.
        queries: Test images in the gallery, spread evenly over the split.

    Raises:
        DataError: A photo is missing, damaged or has no path, or arrays that do not fit each other.
    """
    data = gallery_data(inputs, queries)
    context = _context(inputs) | {"data": data}
    write_page(path, "report.html", context, data["photos"], wanted_pictures(data), images, locate)


def write_page(
    path: Path,
    template: str,
    context: Json,
    photos: dict[str, Json],
    wanted: Iterable[tuple[str, str, int]],
    images: ImageSource | None,
    locate: Callable[[str], Path] | None,
) -> None:
    """Write a page with photos, of at most :data:`MOST_BYTES`.

    Args:
        path: The HTML file.
        template: See :func:`.web.template.page_text`.
        context: Its content, which holds the photos; of the glossary it gets the terms it has.
        photos: By key, each with its ``file``; ``url`` and ``link`` are added where there is one.
        wanted: See :func:`.web.thumbnails.within_budget`.
        images: See :func:`write_report`.
        locate: Likewise.

    Raises:
        DataError: A photo is missing, damaged or has no path.
        InputError: See :func:`.files.write_text`.
    """
    context = {**context, "links": locate is not None, "glossary": TERMS}
    text = page_text(template, **context)
    context["glossary"] = {
        term: meaning
        for term, meaning in TERMS.items()
        if f'aria-describedby="{term_id(term)}"' in text
    }
    if locate is not None:
        for photo in photos.values():
            photo["link"] = photo_address(locate(photo["file"]), path)
    if images is not None:
        room = MOST_BYTES - len(page_text(template, **context).encode())
        for key, url in within_budget(images, wanted, room).items():
            photos[key]["url"] = url
    write_text(path, page_text(template, **context))


def _context(inputs: ReportInputs) -> Json:
    """Context of report.html, without the gallery."""
    return {
        "title": inputs.title,
        "facts": tables.facts(inputs),
        "tiles": tables.tiles(inputs),
        "baselines": tables.baseline_table(inputs.baselines),
        "tags": tables.figures_table(inputs),
        "retrieval": tables.retrieval_table(inputs),
        "training": charts.training_charts(inputs),
        "curves": [
            *charts.precision_recall_charts(inputs),
            charts.distance_chart(inputs),
            charts.calibration_chart(inputs),
        ],
        "class_chart": charts.class_chart(inputs),
        "class_table": tables.class_table(inputs),
        "votes": charts.vote_maps(inputs.grid, inputs.knn),
        "mix": tables.best_mix(inputs.grid),
        "errors": tables.error_tables(inputs.errors),
        "test": f"{len(inputs.labels):,}",
        "provenance": inputs.provenance,
    }
