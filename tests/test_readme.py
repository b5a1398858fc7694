"""The README shows what is committed."""

import json
from pathlib import Path

from siglip2_multimodal_hash.reporting.tables import markdown_table

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ROOT / "metrics" / "mojicoco" / "siglip2-tiny" / "baselines.json"


def test_the_table_is_the_committed_metrics():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = text.partition("<!-- table -->\n")[2].partition("<!-- /table -->")[0]
    assert shown == markdown_table(json.loads(FIGURES.read_text(encoding="utf-8")))


def test_the_fused_code_beats_single_modalities_and_chance():
    rows = json.loads(FIGURES.read_text(encoding="utf-8"))
    for other in ("image_only", "caption_only", "chance"):
        assert rows["fused"]["knn"] > rows[other]["knn"], other
        assert rows["fused"]["retrieval"] > rows[other]["retrieval"], other


def test_every_link_into_the_project_leads_somewhere():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = [part.partition(")")[0] for part in text.split("](")[1:]]
    for link in links:
        if "://" not in link:
            assert (ROOT / link).exists(), link
