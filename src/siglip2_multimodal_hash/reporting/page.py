"""The report: one self-contained HTML page with the figures, the plots and a gallery of queries."""

from collections.abc import Callable, Sequence
from pathlib import Path

from siglip2_multimodal_hash.datasets.images import ImageSource
from siglip2_multimodal_hash.files import write_text
from siglip2_multimodal_hash.reporting.web.addresses import photo_address
from siglip2_multimodal_hash.reporting.web.body import Section, gallery_section, page_body
from siglip2_multimodal_hash.reporting.web.charts import (
    calibration_charts,
    class_chart,
    distance_chart,
    grid,
    precision_recall_charts,
    training_charts,
)
from siglip2_multimodal_hash.reporting.web.errors import error_tables
from siglip2_multimodal_hash.reporting.web.gallery import gallery_data, wanted_pictures
from siglip2_multimodal_hash.reporting.web.headline import facts, tiles
from siglip2_multimodal_hash.reporting.web.inputs import ReportInputs
from siglip2_multimodal_hash.reporting.web.tables import (
    baseline_table,
    class_table,
    figures_table,
    retrieval_table,
)
from siglip2_multimodal_hash.reporting.web.template import page_text
from siglip2_multimodal_hash.reporting.web.thumbnails import within_budget
from siglip2_multimodal_hash.reporting.web.vote_grid import map_legend, vote_maps

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
    body = page_body(inputs.title, _sections(inputs), [gallery_section(data["threshold"])])
    if locate is not None:
        for photo in data["photos"].values():
            photo["link"] = photo_address(locate(photo["file"]), path)
    files = locate is not None
    if images is not None:
        room = MOST_BYTES - len(page_text(inputs.title, body, data, files=files).encode())
        for key, url in within_budget(images, wanted_pictures(data), room).items():
            data["photos"][key]["url"] = url
    text = page_text(inputs.title, body, data, files=files)
    write_text(path, text)


def _sections(inputs: ReportInputs) -> Sequence[Section]:
    tables = grid([figures_table(inputs), retrieval_table(inputs)])
    sections = [
        Section(
            "headline",
            "Headline",
            "",
            [facts(inputs), tiles(inputs), baseline_table(inputs.baselines), tables],
        ),
        Section(
            "training",
            "Training",
            "The checkpoint is chosen by mAP on val.",
            [grid(training_charts(inputs))],
        ),
        Section(
            "curves",
            "Curves",
            "Precision and recall, distances of pairs, and calibration of the scores.",
            [
                grid(
                    [
                        *precision_recall_charts(inputs),
                        distance_chart(inputs),
                        calibration_charts(inputs),
                    ]
                )
            ],
        ),
        Section(
            "classes",
            "Classes",
            "Average precision of every class with the number of its test images.",
            [grid([class_chart(inputs), f'<div class="tall">{class_table(inputs)}</div>'])],
        ),
    ]
    if inputs.grid:
        sections.append(
            Section(
                "votes",
                "Votes",
                "mAP of knn on val in percent for every setting that was tried.",
                [map_legend(inputs.grid), grid(vote_maps(inputs.grid, inputs.knn))],
            )
        )
    if inputs.errors:
        sections.append(
            Section("errors", "Errors", "Tagging errors on test.", error_tables(inputs.errors))
        )
    return sections
