"""`smhash` as a user meets it: output, exit codes, and messages without a traceback."""

import contextlib
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from siglip2_multimodal_hash.entry import run_stage
from siglip2_multimodal_hash.errors import (
    EXIT_BAD_INPUT,
    EXIT_INTERRUPTED,
    DataError,
    InputError,
    run_guarded,
)
from siglip2_multimodal_hash.params import Params, load_params

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "params.yaml").read_text(encoding="utf-8")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with params.yaml and the presets, to work in."""
    (tmp_path / "params.yaml").write_text(TEXT, encoding="utf-8")
    (tmp_path / "configs").symlink_to(ROOT / "configs", target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_process(
    folder: Path, *arguments: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "siglip2_multimodal_hash.cli", *arguments]
    environment = {"PYTHONPATH": str(ROOT / "src"), "PATH": "", "OMP_NUM_THREADS": "1", **variables}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_success_as_a_process(project: Path) -> None:
    result = run_process(project, "use", "siglip2-tiny-naflex", "-S", "hash.bits=128")
    assert (result.returncode, result.stderr) == (0, "")
    assert "+  bits: 128 " in result.stdout
    assert load_params().hash.bits == 128
    assert load_params().backbone.name == "siglip2-tiny-naflex"


def test_failure_as_a_process(project: Path) -> None:
    result = run_process(project, "use", "coco2014")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("error: params.yaml: runtime.coco_root = ''")
    assert "Traceback" not in result.stderr
    assert (project / "params.yaml").read_text(encoding="utf-8") == TEXT


def test_a_reader_that_has_enough_ends_it_quietly() -> None:
    command = [sys.executable, "-m", "siglip2_multimodal_hash.cli", "use", "--list"]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT / "src"), "PATH": "", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()  # before anything is written
        assert process.stderr.read() == ""
    assert process.returncode == 141


def test_check(
    smhash: Callable[..., int], capsys: pytest.CaptureFixture[str], project: Path
) -> None:
    assert smhash("check") == 0
    assert "params.yaml: every parameter is known and allowed" in capsys.readouterr().out
    (project / "params.yaml").write_text(TEXT.replace("bits: 64 ", "bits: 63 "), encoding="utf-8")
    assert smhash("check") == EXIT_BAD_INPUT
    assert "hash.bits = 63" in capsys.readouterr().err


@pytest.mark.usefixtures("project")
def test_use_lists_every_preset(
    smhash: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert smhash("use", "--list") == 0
    lines = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
    presets = (ROOT / "configs/presets").glob("*.yaml")
    files = sorted(presets, key=lambda path: path.stem)
    assert [line[0] for line in lines] == [path.stem for path in files]
    for (_, kind, description), path in zip(lines, files, strict=True):
        assert kind in ("dataset", "backbone", "hardware", "profile")
        assert description in path.read_text(encoding="utf-8")


@pytest.mark.usefixtures("project")
def test_a_named_value_wins_over_the_limit_of_a_preset(smhash: Callable[..., int]) -> None:
    emergency = ["use", "siglip2-base-naflex", "rtx5080-16gb-emergency"]
    assert smhash(*emergency) == 0
    assert load_params().backbone.max_num_patches == 196
    assert smhash(*emergency, "-S", "backbone.max_num_patches=225") == 0
    assert load_params().backbone.max_num_patches == 225


def test_use_makes_the_root_of_coco_absolute(smhash: Callable[..., int], project: Path) -> None:
    assert smhash("use", "coco2014", "--coco-root", "disk/coco") == 0
    assert load_params().runtime.coco_root == str(project.resolve() / "disk/coco")
    assert load_params().dataset.name == "coco2014"


@pytest.mark.usefixtures("project")
def test_use_twice_has_nothing_to_change(
    smhash: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert smhash("use", "cpu") == 0
    capsys.readouterr()
    assert smhash("use", "cpu") == 0
    assert capsys.readouterr().out == "params.yaml: nothing to change\n"


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["use"], "nothing to do"),
        (["use", "nonesuch"], "preset 'nonesuch': unknown"),
        (["use", "siglip2-tiny", "siglip2-base-256"], "backbone.name"),
        (["use", "-S", "hash.bits"], "key=value"),
        (["use", "-S", "hash.bitz=3"], "hash.bitz = 3: unknown key"),
        (["use", "-S", "hash={bits: 64}"], "a section"),
        (["use", "mojicoco", "-S", "hash.bits=0"], "knn.distance = hamming"),
    ],
)
def test_bad_input_exits_with_2_and_changes_nothing(
    smhash: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    project: Path,
    arguments: list[str],
    part: str,
) -> None:
    assert smhash(*arguments) == EXIT_BAD_INPUT
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("error: ")
    assert part in output.err
    assert (project / "params.yaml").read_text(encoding="utf-8") == TEXT


@pytest.mark.parametrize(
    "arguments", [["check"], ["use", "--list"], ["use", "cpu"], ["use", "-S", "seed=1"]]
)
def test_outside_the_project_it_says_where_to_run(
    smhash: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert smhash(*arguments) == EXIT_BAD_INPUT
    assert "run from the root of the project" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["nonesuch"], ["use", "--nonesuch"]])
def test_wrong_usage_exits_with_2(smhash: Callable[..., int], arguments: list[str]) -> None:
    assert smhash(*arguments) == EXIT_BAD_INPUT


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["tabel"], "did you mean `table`"),
        (["table", "A2", "--fromat", "md"], "usage: smhash table"),
        (["table", "A2", "--fromat", "md"], "did you mean `--format`"),
        (["experiments", "--sort", "val_kn"], "did you mean `val_knn`"),
        (["use", "siglip2-tny"], "did you mean `siglip2-tiny`"),
        (["compare", "A", "B", "--draws", "99"], "--draws: 99: must be at least 100"),
        (["use", "-S", "hash.bitz=3"], "did you mean `hash.bits`"),
    ],
)
@pytest.mark.usefixtures("project")
def test_what_is_wrong_with_a_word_is_said(
    smhash: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    part: str,
) -> None:
    assert smhash(*arguments) == EXIT_BAD_INPUT
    assert part in capsys.readouterr().err


def test_versions_and_exit_codes_are_documented(
    smhash: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert smhash("--version") == 0
    shown = capsys.readouterr().out
    assert re.fullmatch(r"smhash \d\S* \(Python 3\.\S+, torch \S+, .*\)\n", shown)
    assert smhash("--help") == 0
    shown = capsys.readouterr().out
    for code in (0, 1, EXIT_BAD_INPUT, EXIT_INTERRUPTED, 141):
        assert re.search(rf"^  {code} +\w", shown, re.MULTILINE), code
    for command in ("ablate", "doctor", "verify"):
        assert smhash(command, "--help") == 0
        assert "Exit codes: 1 if" in capsys.readouterr().out


class Terminal(io.StringIO):
    """An output that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_text_in_colour_and_a_file_markdown(
    smhash: Callable[..., int], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project / "outputs/mojicoco/siglip2-tiny/details"
    folder.mkdir(parents=True)
    (folder / "baselines.json").write_text('{"fused": {"knn": 0.5}, "chance": {"knn": 0.1}}')
    for name, value in (("TERM", "xterm"), ("COLUMNS", "100"), ("NO_COLOR", "")):
        monkeypatch.setenv(name, value)
    terminal = Terminal()
    with contextlib.redirect_stdout(terminal):
        assert smhash("table") == 0
        assert smhash("table", "--out", "table.txt") == 0
        assert smhash("table", "--out", "table.md") == 0
        assert smhash("table", "--out", "table.tex") == EXIT_BAD_INPUT
    lines = terminal.getvalue().splitlines()
    assert lines[0].startswith("\x1b[1m")
    assert lines[1].split() == ["fused", "50.0"]
    assert max(len(re.sub("\x1b.*?m", "", line)) for line in lines) <= 100
    assert Path("table.txt").read_text().startswith("row     ")
    assert Path("table.md").read_text().startswith("| row |")


def test_a_part_of_coco_says_so(
    smhash: Callable[..., int], project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert smhash("use", "coco2014", "--coco-root", "/coco") == 0
    for folder, file, content in (
        ("outputs/coco2014/siglip2-tiny/details", "baselines.json", {"fused": {"knn": 0.5}}),
        (
            "data/coco2014",
            "statistics.json",
            {"images": {"total": 239}, "splits": {"test": {"images": 40}}},
        ),
    ):
        (project / folder).mkdir(parents=True)
        (project / folder / file).write_text(json.dumps(content))
    capsys.readouterr()
    assert smhash("table") == 0
    said = "n = 40 test pairs of coco2014 (karpathy split); part of COCO: 239 of 123,287"
    assert said in capsys.readouterr().out


def test_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    def fail_with(error: BaseException) -> Callable[[], None]:
        def main() -> None:
            raise error

        return main

    for main, code, text in [
        (lambda: None, 0, ""),
        (fail_with(InputError("wrong", "mend it")), EXIT_BAD_INPUT, "error: wrong\n  -> mend it\n"),
        (fail_with(DataError("damaged")), EXIT_BAD_INPUT, "error: damaged\n"),
        (fail_with(KeyboardInterrupt()), EXIT_INTERRUPTED, "Interrupted. Finished work is saved"),
    ]:
        with pytest.raises(SystemExit) as caught:
            run_guarded(main)
        assert caught.value.code == code
        assert text in capsys.readouterr().err
    with pytest.raises(ZeroDivisionError):  # a defect keeps its traceback
        run_guarded(fail_with(ZeroDivisionError()))


@pytest.mark.usefixtures("project")
def test_a_stage_gets_parameters_and_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    def main(params: Params, index: Path, out: Path) -> None:
        """Do something."""
        seen.extend([params.seed, index, out])

    monkeypatch.setattr(sys, "argv", ["stage", "--out", "b", "--index", "a"])
    with pytest.raises(SystemExit) as caught:
        run_stage(main, "index", "out")
    assert (caught.value.code, seen) == (0, [42, Path("a"), Path("b")])


def test_a_stage_does_not_start_with_bad_parameters(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "params.yaml").write_text(TEXT.replace("seed: 42", "seed: x"), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["stage", "--out", "b"])

    def main(params: Params, out: Path) -> None:
        raise AssertionError

    with pytest.raises(SystemExit) as caught:
        run_stage(main, "out")
    assert caught.value.code == EXIT_BAD_INPUT
    assert "seed = 'x'" in capsys.readouterr().err


@pytest.mark.usefixtures("project")
def test_a_stage_refuses_a_missing_path(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["stage"])
    with pytest.raises(SystemExit) as caught:
        run_stage(lambda params, out: None, "out")
    assert caught.value.code == EXIT_BAD_INPUT
    assert "--out" in capsys.readouterr().err


def test_an_empty_name_is_no_folder(
    smhash: Callable[..., int], capsys: pytest.CaptureFixture[str], project: Path
) -> None:
    for arguments in (["predict", ""], ["predict", "a.jpg", "--explain", ""]):
        assert smhash(*arguments) == EXIT_BAD_INPUT
        assert "an empty name" in capsys.readouterr().err


def test_stats(
    smhash: Callable[..., int], capsys: pytest.CaptureFixture[str], project: Path
) -> None:
    assert smhash("stats") == EXIT_BAD_INPUT
    assert (
        "statistics.json: no such file\n  -> run `dvc repro build_dataset_index`"
        in capsys.readouterr().err
    )
    path = project / "data/mojicoco/statistics.json"
    split = {
        "images": 2,
        "labelled": 1,
        "unlabelled": 1,
        "captions": 2,
        "class_frequency": [1],
        "labels_per_image": {"mean": 0.5, "histogram": [1, 1]},
        "captions_per_image": {"min": 1, "max": 1},
        "caption_words": {
            "mean": 3.0,
            **{f"q{level:02d}": 3.0 for level in (0, 5, 25, 50, 75, 95, 100)},
        },
    }
    content = {
        "categories": ["dog"],
        "images": {"train": 2, "val": 2, "test": 2, "total": 6},
        "splits": dict.fromkeys(("train", "val", "test"), split),
        "co_occurrence_train": [[1]],
        "overlap": {"train/val": 0},
    }
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    # Characters that the output's encoding lacks are escaped, and JSON stays JSON.
    ascii_only = {"PYTHONIOENCODING": "ascii"}
    path.write_text(json.dumps(content).replace("dog", "\N{GOAT} ch\xe8vre"), encoding="utf-8")
    process = run_process(project, "stats", **ascii_only)
    assert (process.returncode, process.stderr) == (0, "")
    assert "\\U0001f410 ch\\xe8vre" in process.stdout
    assert smhash("stats", "--json") == 0
    out = capsys.readouterr().out
    assert out.isascii()
    assert list(json.loads(out)["class_frequency"]) == ["\N{GOAT} ch\xe8vre"]
    path.write_text(json.dumps(content), encoding="utf-8")
    assert smhash("stats", "--format", "text") == 0
    shown = capsys.readouterr().out
    assert "dog        1    1     1    3" in shown
    assert "\nn = 2 test pairs of mojicoco (karpathy split)\nseed 42\n" in shown
    assert smhash("stats", "--json") == 0
    assert json.loads(capsys.readouterr().out)["class_frequency"]["dog"]["all"] == 3
    path.write_text(json.dumps(content)[:-1], encoding="utf-8")
    assert smhash("stats") == EXIT_BAD_INPUT
    assert "statistics.json: not valid JSON" in capsys.readouterr().err
