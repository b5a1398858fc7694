"""The folder between `tune_towers` and `embed`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.features.tuned import embedded_backbone, leave_frozen, read_record
from siglip2_multimodal_hash.params import load_params

ROOT = Path(__file__).resolve().parents[2]
PARAMS = load_params(ROOT / "params.yaml")


def test_frozen_towers_leave_a_word_and_the_checkpoint_of_the_parameters(tmp_path: Path) -> None:
    folder = tmp_path / "outputs" / "towers"
    leave_frozen(folder)
    assert [path.name for path in folder.iterdir()] == ["tuning.json"]
    assert json.loads((folder / "tuning.json").read_text()) == {"tune": "frozen"}
    backbone, section = embedded_backbone(PARAMS, folder), PARAMS.backbone.model_dump()
    assert vars(backbone) == {name: section[name] for name in vars(backbone)}


def test_a_tuned_checkpoint_is_left_to_dvc_to_remove(tmp_path: Path) -> None:
    folder = tmp_path / "towers"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"tuned")
    (folder / "tuning.json").write_text('{"tune": "lora"}')
    assert embedded_backbone(PARAMS, folder).checkpoint == str(folder)
    with pytest.raises(InputError, match="a folder is there"):
        leave_frozen(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["towers"]
    assert (folder / "model.safetensors").read_bytes() == b"tuned"


@pytest.mark.parametrize("content", [None, "{", "[]", "{}", '{"tune": "other"}'])
def test_a_missing_or_strange_record_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "tuning.json").write_text(content)
    with pytest.raises(DataError, match=r"tuning\.json"):
        read_record(tmp_path)


def test_a_frozen_stage_loads_no_numerical_library(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    code = (
        "import sys, pathlib\n"
        "from siglip2_multimodal_hash.params import load_params\n"
        "from stages.tune_towers import main\n"
        "main(load_params(), None, None, pathlib.Path('towers'))\n"
        "print(sorted({'torch', 'numpy', 'pandas', 'transformers', 'peft'} & sys.modules.keys()))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == "[]"
    assert (tmp_path / "towers" / "tuning.json").exists()
