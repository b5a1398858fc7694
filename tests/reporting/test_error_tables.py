"""The error analysis as tables, as a part of the page, and as data of plots."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from siglip2_multimodal_hash.cli.errors import errors_parts
from siglip2_multimodal_hash.document import as_markdown, as_text
from siglip2_multimodal_hash.errors import EXIT_BAD_INPUT
from siglip2_multimodal_hash.files import write_json
from siglip2_multimodal_hash.reporting.tables import rounded
from tests.reporting.conftest import Example

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def errors(example: Example) -> dict[str, Any]:
    found: dict[str, Any] = example.errors
    return found


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with params.yaml and nothing else."""
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def errors_text(
    errors: dict[str, Any], predictor: str, classes: int | None = None, *, everything: bool = True
) -> str:
    return as_text(errors_parts(errors, predictor, classes, everything=everything), width=100)


def test_every_table_is_there(errors: dict[str, Any]) -> None:
    text = errors_text(errors, "knn")
    assert text.startswith("knn: 8 test images, percent\n")
    for title in ("by number of labels", "smallest object", "largest object", "caption names"):
        assert title in text
    # Sizes: person 4% of 100 x 100 pixels, hot dog 8%, cat 12%.
    (group,) = errors["groups"]["object_size"]
    assert group["group"] == "4% to 16%"
    assert group["labels"] == sum(one["images"] for one in errors["classes"])


def test_classes_without_a_positive_are_left_out_and_their_number_limited(
    errors: dict[str, Any],
) -> None:
    assert "unicorn" not in errors_text(errors, "mlp")
    worst = min(
        (one for one in errors["classes"] if one["AP"]["mlp"] is not None),
        key=lambda one: one["AP"]["mlp"],
    )
    first = errors_text(errors, "mlp", 1).split("\n\n")[1].splitlines()
    assert len(first) == 3
    assert first[2].startswith(worst["category"])


def test_without_all_it_is_short_and_says_what_is_left_out(errors: dict[str, Any]) -> None:
    (one, *_) = errors["classes"]
    many = errors | {"classes": [one | {"category": f"class {number}"} for number in range(30)]}
    short, long = (errors_text(many, "knn", everything=all) for all in (False, True))
    assert short.count("\nclass ") == 1 + 10
    assert long.count("\nclass ") == 1 + 30
    assert "smallest object" not in short
    assert "Shown are 10 of 30 classes, 3 of 5 groupings and the 5 worst images: --all" in short
    assert "--all" not in long


def test_lists_are_rounded_too() -> None:
    assert rounded({"a": [1 / 3, {"b": 2 / 3}, "c"]}) == {"a": [0.333333, {"b": 0.666667}, "c"]}


def test_the_command(
    errors: dict[str, Any],
    project: Path,
    smhash: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert smhash("errors") == EXIT_BAD_INPUT
    assert "errors.json: no such file" in capsys.readouterr().err
    write_json(project / "outputs/mojicoco/siglip2-tiny/details/errors.json", rounded(errors))
    assert smhash("errors", "--predictor", "hybrid") == 0
    shown = capsys.readouterr().out
    # Into a pipe it is Markdown.
    assert shown.startswith(as_markdown(errors_parts(rounded(errors), "hybrid")))
    assert "n = 8 test pairs of mojicoco (karpathy split)" in shown
    assert "seed 42, objective discrete_pairwise, checkpoint models/siglip2-tiny" in shown
    assert smhash("errors", "--all", "--format", "text") == 0
    assert capsys.readouterr().out.startswith(errors_text(rounded(errors), "knn"))
    assert smhash("errors", "--json") == 0
    assert json.loads(capsys.readouterr().out) == rounded(errors)


OTHER_FORMS: tuple[object, ...] = ([], {}, 3, None, "x", [1], {"fused": 3}, {"fused": []})


@pytest.mark.parametrize(
    ("words", "file", "stage"),
    [
        (("errors",), "outputs/mojicoco/siglip2-tiny/details/errors.json", "summarise"),
        (("errors", "--json"), "outputs/mojicoco/siglip2-tiny/details/errors.json", "summarise"),
        (("table",), "outputs/mojicoco/siglip2-tiny/details/baselines.json", "summarise"),
        (
            ("table", "--split", "val"),
            "outputs/mojicoco/siglip2-tiny/details/details.json",
            "summarise",
        ),
        (("stats",), "data/mojicoco/statistics.json", "build_dataset_index"),
    ],
)
def test_a_file_of_another_form_is_named_with_the_command_that_makes_it(
    words: tuple[str, ...],
    file: str,
    stage: str,
    project: Path,
    smhash: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    for content in OTHER_FORMS:
        write_json(project / file, content)
        assert smhash(*words) == EXIT_BAD_INPUT, content
        shown = capsys.readouterr()
        assert shown.out == ""
        assert shown.err.startswith(f"error: {file}: not what the pipeline writes ("), content
        assert f"-> run `dvc repro {stage}`" in shown.err
    (project / file).write_text("[", encoding="utf-8")
    assert smhash(*words) == EXIT_BAD_INPUT
    assert f"-> run `dvc repro {stage}`" in capsys.readouterr().err
