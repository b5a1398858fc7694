"""Which files a stage runs, of sources written for the purpose and of the project's."""

import ast
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.modules import LISTING, Sources, listed

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "src/siglip2_multimodal_hash"
FILES = {
    "stages/__init__.py": b'"""Stages."""\n',
    "stages/embed.py": (
        b"import json\nfrom siglip2_multimodal_hash.features.towers import Towers\n"
        b"def main():\n    from siglip2_multimodal_hash import late\n"
    ),
    "stages/report.py": b"import siglip2_multimodal_hash.page\n",
    f"stages/{LISTING}.py": b"import siglip2_multimodal_hash.modules\n",
    f"{PACKAGE}/__init__.py": b"pin = 1\n",
    f"{PACKAGE}/late.py": b"from siglip2_multimodal_hash.deep import answer\n",
    f"{PACKAGE}/deep.py": b"answer = 42\n",
    f"{PACKAGE}/unused.py": b"answer = 43\n",
    f"{PACKAGE}/features/__init__.py": b'"""A docstring alone."""\n',
    f"{PACKAGE}/features/towers.py": b"class Towers: ...\n",
    f"{PACKAGE}/page.py": (
        b"STYLE = 'page.css'\nFOLDER = 'pictures'\nOTHER = '../secret.css'\nMODULE = 'late.py'\n"
    ),
    f"{PACKAGE}/page.css": b"body {}\n",
    f"{PACKAGE}/other.css": b"p {}\n",
    f"{PACKAGE}/pictures/dog.png": b"dog\n",
    f"{PACKAGE}/pictures/code.py": b"answer = 44\n",
    f"{PACKAGE}/pictures/old/cat.png": b"cat\n",
}


def test_imports_wherever_they_stand_and_however_deep():
    assert list(Sources(FILES).of_stage("embed")) == [
        f"{PACKAGE}/__init__.py",
        f"{PACKAGE}/deep.py",
        f"{PACKAGE}/features/towers.py",
        f"{PACKAGE}/late.py",
        "stages/embed.py",
    ]


def test_files_that_a_module_names_beside_itself():
    assert list(Sources(FILES).of_stage("report")) == [
        f"{PACKAGE}/__init__.py",
        f"{PACKAGE}/page.css",
        f"{PACKAGE}/page.py",
        f"{PACKAGE}/pictures/dog.png",
        "stages/report.py",
    ]


def test_digests_are_those_of_the_contents():
    found = Sources(FILES).of_stage("report")
    assert found["stages/report.py"] == hashlib.sha256(FILES["stages/report.py"]).hexdigest()
    lines = listed(found).splitlines()
    assert [line.split("  ") for line in lines] == [
        [digest, path] for path, digest in found.items()
    ]


@pytest.mark.parametrize(
    ("changed", "stages"),
    [
        ("deep.py", {"embed"}),
        ("page.css", {"report"}),
        ("pictures/dog.png", {"report"}),
        ("__init__.py", {"embed", "report"}),
        ("unused.py", set()),
        ("other.css", set()),
    ],
)
def test_a_change_reaches_the_stages_that_run_the_file(changed, stages):
    before, after = Sources(FILES), Sources(FILES | {f"{PACKAGE}/{changed}": b"changed = 2\n"})
    assert before.stages() == ["embed", "report"]
    assert {name for name in before.stages() if before.of_stage(name) != after.of_stage(name)} == (
        stages
    )


def test_what_cannot_be_followed_is_refused():
    with pytest.raises(InputError, match=r"stages/none\.py: no such file"):
        Sources(FILES).of_stage("none")
    broken = FILES | {f"{PACKAGE}/deep.py": b"answer =\n"}
    with pytest.raises(InputError, match=r"deep\.py: not valid Python"):
        Sources(broken).of_stage("embed")
    relative = FILES | {f"{PACKAGE}/late.py": b"from . import deep\n"}
    with pytest.raises(InputError, match=r"late\.py: a relative import"):
        Sources(relative).of_stage("embed")


@pytest.mark.parametrize("stage", Sources.in_folder(ROOT).stages())
def test_what_is_loaded_is_listed(stage):
    """Python's own account of the modules behind a stage's import, at the top of the files."""
    code = (
        f"import sys, stages.{stage}\n"
        "for name, module in list(sys.modules.items()):\n"
        "    if name.split('.')[0] in ('siglip2_multimodal_hash', 'stages'):\n"
        "        print(module.__file__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {Path(line).relative_to(ROOT).as_posix() for line in done.stdout.split()}
    with_code = {path for path in loaded if ast.parse((ROOT / path).read_text()).body[1:]}
    assert f"stages/{stage}.py" in with_code
    assert with_code <= set(Sources.in_folder(ROOT).of_stage(stage))
