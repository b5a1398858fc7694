"""The README shows what Git has: a run on this machine may have other figures."""

import csv
import io
import subprocess
from pathlib import Path

import pytest

from siglip2_multimodal_hash.cli.table import comparison_table
from siglip2_multimodal_hash.document import as_markdown

ROOT = Path(__file__).resolve().parents[1]
FIGURES = "plots/mojicoco/siglip2-tiny/baselines.csv"


@pytest.fixture
def rows():
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


def test_the_table_is_the_committed_metrics(rows):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = text.partition("<!-- table -->\n")[2].partition("<!-- /table -->")[0]
    assert shown == as_markdown([comparison_table(rows)])


def test_the_fused_code_beats_single_modalities_and_chance(rows):
    for other in ("image_only", "caption_only", "chance"):
        assert rows["fused"]["knn"] > rows[other]["knn"], other
        assert rows["fused"]["retrieval"] > rows[other]["retrieval"], other


def test_every_link_into_the_project_leads_somewhere():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = [part.partition(")")[0] for part in text.split("](")[1:]]
    for link in links:
        if "://" not in link:
            assert (ROOT / link).exists(), link
