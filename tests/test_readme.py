"""The README shows what Git has: a run on this machine may have other figures."""

import csv
import io
import subprocess
from pathlib import Path

import pytest

from siglip2_multimodal_hash.cli.table import comparison_table
from siglip2_multimodal_hash.document import as_markdown

ROOT = Path(__file__).resolve().parents[1]
Rows = dict[str, dict[str, float]]
FIGURES = "plots/mojicoco/siglip2-tiny/baselines.csv"


@pytest.fixture
def rows() -> Rows:
    """The recorded figures, as they were added to Git."""
    shown = subprocess.run(
        ["git", "show", f":./{FIGURES}"], cwd=ROOT, capture_output=True, check=False
    )
    if shown.returncode:
        pytest.skip("no clone of the repository: what Git has is not to be had")
    table = csv.DictReader(io.StringIO(shown.stdout.decode()))
    return {
        row.pop("row"): {column: float(cell) for column, cell in row.items() if cell}
        for row in table
    }


def test_the_table_is_the_committed_metrics(rows: Rows) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = text.partition("<!-- table -->\n")[2].partition("<!-- /table -->")[0]
    assert shown == as_markdown([comparison_table(rows)])


def test_the_fused_code_beats_single_modalities_and_chance(rows: Rows) -> None:
    for other in ("image_only", "caption_only", "chance"):
        assert rows["fused"]["knn"] > rows[other]["knn"], other
        assert rows["fused"]["retrieval"] > rows[other]["retrieval"], other


DOCS = [str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").glob("*.md"))]
DOCUMENTS = ("README.md", "data/README.md", "models/README.md", *DOCS)


def links(text: str) -> list[str]:
    """Paths that a page of Markdown leads to."""
    found = [part.partition(")")[0] for part in text.split("](")[1:]]
    return [link for link in found if "://" not in link]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_into_the_project_leads_somewhere(document: str) -> None:
    path = ROOT / document
    for link in links(path.read_text(encoding="utf-8")):
        assert (path.parent / link).exists(), link


def test_every_reference_is_cited_where_it_is_used() -> None:
    """By the surname of its first author, and in the README too."""
    page = ROOT / "docs/references.md"
    rows = page.read_text(encoding="utf-8").partition("|---|---|\n")[2].splitlines()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(rows) == 11
    for row in rows:
        authors = row.partition(". ")[2]
        surname = next(word.strip(",:") for word in authors.split() if not word.endswith("."))
        assert surname in readme.partition("## References")[2], row
        assert links(row), row
        for link in links(row):
            assert surname in (page.parent / link).read_text(encoding="utf-8"), (surname, link)
