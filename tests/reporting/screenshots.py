"""The README's pictures of the report page.

Run ``python -m tests.reporting.screenshots REPORT FOLDER``, e.g. with
``reports/mojicoco/siglip2-tiny/index.html docs``. It needs Chromium
(``apt-get install chromium``).
"""

import io
import sys
from pathlib import Path

from PIL import Image

from siglip2_multimodal_hash.files import replacing
from tests.reporting.browser import chromium

MOST_BYTES = 150_000
WIDTH, HEIGHT = 1280, 900
# Name of the picture, the element at its top, dark or light, and the height.
SHOTS = (
    ("report-headline", "main", False, HEIGHT),
    ("report-votes", "votes", True, 1050),
    ("report-queries", "queries", False, HEIGHT),
)
# Photos that the page reads from disk come when they are in view.
IS_DRAWN = """document.querySelectorAll(".chart:not(:has(svg))").length === 0 &&
  [...document.images].every((image) => {
    const { top, bottom } = image.getBoundingClientRect();
    return image.complete || bottom < 0 || top > innerHeight;
  })"""


def take(report: Path, folder: Path) -> None:
    """Write each of :data:`SHOTS` whose element the report has, in at most MOST_BYTES."""
    folder.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        for name, element, dark, height in SHOTS:
            page = browser.new_page(
                viewport={"width": WIDTH, "height": height},
                color_scheme="dark" if dark else "light",
            )
            page.goto(report.resolve().as_uri())
            place = page.locator(f"#{element}")
            if not place.count():
                continue
            place.evaluate("(one) => one.scrollIntoView({behavior: 'instant'})")
            page.wait_for_function(IS_DRAWN)
            picture = Image.open(io.BytesIO(page.screenshot()))
            with replacing(folder / f"{name}.png", inputs=[report]) as temporary:
                temporary.write_bytes(small_png(picture.convert("RGB")))


def small_png(picture: Image.Image) -> bytes:
    """A PNG with as many colours, of 256 at most, as its size allows; smaller if it must be."""
    for scale in (1, 0.8, 0.65, 0.5):
        scaled = picture.resize((round(picture.width * scale), round(picture.height * scale)))
        for colours in (256, 128, 64):
            stream = io.BytesIO()
            palette = scaled.quantize(colours, dither=Image.Dither.NONE)
            palette.save(stream, "PNG", optimize=True)
            if stream.tell() <= MOST_BYTES:
                return stream.getvalue()
    raise AssertionError("no scale is small enough")


if __name__ == "__main__":
    take(Path(sys.argv[1]), Path(sys.argv[2]))
