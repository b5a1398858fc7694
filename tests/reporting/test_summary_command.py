"""``smhash summary``: the headline figures, the page and what to do next."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from siglip2_multimodal_hash.params import load_params
from siglip2_multimodal_hash.reporting.tables import HEADLINE, figures_file
from tests.experiments.small_repository import ROOT


@pytest.fixture
def figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a run's figures, in the working folder of the test."""
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text(encoding="utf-8"))
    monkeypatch.chdir(tmp_path)
    params = load_params()
    path = figures_file(params.dataset.name, params.backbone.name)
    path.parent.mkdir(parents=True)
    return path


def test_the_headline_the_page_and_three_commands(
    figures: Path, smhash: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    found: dict[str, Any] = {}
    for place, key in enumerate(HEADLINE.values(), start=1):
        section = found
        *outer, last = key.split(".")
        for name in outer:
            section = section.setdefault(name, {})
        section[last] = place / 10
    figures.write_text(json.dumps(found))
    assert smhash("summary") == 0
    title, *lines = capsys.readouterr().out.splitlines()
    assert title == "mAP on test in percent, mojicoco with siglip2-tiny:"
    rows = lines[: lines.index("")]
    names = [name for name in HEADLINE if not name.startswith("val_")]
    assert [line.split()[:2] for line in rows] == [
        [name, f"{10 * place:.1f}"] for place, name in enumerate(names, start=1)
    ]
    assert len({line.index(".") for line in rows}) == 1
    assert "page: reports/mojicoco/siglip2-tiny/index.html" in lines
    assert [line.split()[0] for line in lines[-3:]] == ["dvc", "smhash", "smhash"]
    assert all(len(line) <= 100 for line in lines)


def test_without_figures_it_says_how_to_make_them(
    figures: Path, smhash: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert smhash("summary") == 2
    assert "run `dvc repro summarise`" in capsys.readouterr().err
