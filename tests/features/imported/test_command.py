"""`smhash import-features` as a user meets it: params.yaml afterwards, and what it refuses."""

import functools
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from siglip2_multimodal_hash.arrays import Vectors
from siglip2_multimodal_hash.datasets.index import DatasetIndex
from siglip2_multimodal_hash.datasets.items import write_items
from siglip2_multimodal_hash.params import load_params
from siglip2_multimodal_hash.presets import override_text
from tests.places import FREE, everything, place

ROOT = Path(__file__).resolve().parents[3]
Run = Callable[..., tuple[int, str, str]]
PLAIN = ("--image", "image.npy", "--image-ids", "ids.txt")


@pytest.fixture
def project(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    index: DatasetIndex,
    image: Vectors,
    image_ids: list[str],
) -> Path:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text(encoding="utf-8"))
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    write_items(tmp_path / "data/mojicoco/items.parquet", index)
    np.save(tmp_path / "image.npy", image)
    (tmp_path / "ids.txt").write_text("\n".join(image_ids))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(smhash: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> Run:
    """The exit code, and what was said on stdout and stderr."""
    return lambda *words: (smhash(*words), *capsys.readouterr())


@pytest.fixture
def import_features(run: Run) -> Run:
    return functools.partial(run, "import-features")


def test_params_yaml_uses_them_and_a_preset_undoes_it(
    project: Path, import_features: Run, smhash: Callable[..., int]
) -> None:
    before = (project / "params.yaml").read_text()
    code, out, _ = import_features("--name", "mine", *PLAIN)
    assert code == 0
    assert "image.npy: 12 x 5" in out
    params = load_params()
    assert (params.backbone.name, params.backbone.checkpoint) == ("mine", "imported")
    folder = Path(params.runtime.features_folder)
    assert folder == project.resolve() / "data/mojicoco/features" / params.backbone.revision
    assert smhash("use", "siglip2-tiny") == 0
    # Of no consequence any more, and so left as it is.
    after = (project / "params.yaml").read_text()
    assert str(folder) in after
    assert override_text(after, {"runtime.features_folder": ""}, source="params.yaml") == before


def test_check_knows_what_train_would_refuse_and_its_remedy_helps(
    project: Path, run: Run, import_features: Run, image: Vectors
) -> None:
    np.save(project / "caption.npy", image[:, :3])
    caption = ("--caption", "caption.npy", "--caption-ids", "ids.txt")
    assert run("use", "-S", "fusion.type=concat")[0] == 0
    _, out, _ = import_features("--name", "mine", *PLAIN, *caption)
    assert "next: smhash use -S fusion.project_dim=3 && dvc repro" in out
    code, _, err = run("check")
    assert code == 2
    assert "loss.cosine_weight = 1.0: directions of unlike widths" in err
    remedy = err.partition("`smhash ")[2].partition("`")[0]
    assert remedy == "use -S fusion.project_dim=3"
    assert run(*remedy.split())[0] == 0
    assert run("check")[0] == 0


def test_the_same_features_again_change_nothing(project: Path, import_features: Run) -> None:
    assert import_features("--name", "mine", *PLAIN)[0] == 0
    code, out, _ = import_features("--name", "mine", *PLAIN)
    assert code == 0
    assert "params.yaml: nothing to change" in out


def test_another_place(project: Path, import_features: Run) -> None:
    assert import_features("--name", "mine", *PLAIN, "--out", "elsewhere")[0] == 0
    params = load_params()
    expected = project.resolve() / "elsewhere" / params.backbone.revision
    assert Path(params.runtime.features_folder) == expected


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("--name", "siglip2-tiny", *PLAIN), ("preset 'siglip2-tiny'", "choose another")),
        (("--name", "My Features", *PLAIN), ("backbone.name = 'My Features'", "pattern")),
        (("--name", "mine"), ("no features are named", "img_emb")),
        (("clip", "--name", "mine"), ("clip: no such folder", "img_emb")),
        (("image.npy", "--name", "mine"), ("image.npy: no such folder", "--image")),
        ((".", "--name", "mine", *PLAIN), ("both SOURCE and plain arrays",)),
        (("--name", "mine", *PLAIN, "--prompts", "no.npy"), ("no.npy: no such file",)),
        (("--name", "mine", "--image", "image.npy"), ("--image needs --image-ids",)),
    ],
)
def test_refusals(
    project: Path, import_features: Run, arguments: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    before = (project / "params.yaml").read_text()
    code, out, err = import_features(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    for part in parts:
        assert part in err
    assert (project / "params.yaml").read_text() == before
    assert not (project / "data/mojicoco/features").exists()


def test_without_an_index(project: Path, import_features: Run) -> None:
    (project / "data/mojicoco/items.parquet").unlink()
    code, _, err = import_features("--name", "mine", *PLAIN)
    assert code == 2
    assert "-> run `dvc repro build_dataset_index`" in err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(project: Path, import_features: Run) -> None:
    (project / "locked").mkdir(mode=0o500)
    code, _, err = import_features("--name", "mine", *PLAIN, "--out", "locked")
    assert code == 2
    assert "cannot be written" in err


@pytest.mark.parametrize(
    "kind",
    [
        *("new below a new folder", "empty folder", "folder", "file", "link to a folder"),
        *("dangling link", "mount point", "above the repository", "dataset"),
    ],
)
def test_whatever_lies_in_the_place_of_the_folder_stays(
    project: Path, import_features: Run, kind: str
) -> None:
    (project / ".git").mkdir()
    with place(kind, project) as target:
        before = everything(project)
        code, _, err = import_features("--name", "mine", *PLAIN, "--out", str(target))
        after = everything(project)
        made = [name for name in after if name not in before]
        if kind in (*FREE, "empty folder"):
            assert (code, err) == (0, "")
            (folder,) = target.iterdir()
            assert str(folder.resolve()) == load_params().runtime.features_folder
            before.pop("params.yaml"), after.pop("params.yaml")
        else:
            assert code == 2
            assert err.startswith(f"error: {target}: ")
            assert made == []
        assert {name: after[name] for name in before} == before


def test_params_yaml_that_cannot_be_changed_is_refused_before_the_import(
    project: Path, import_features: Run
) -> None:
    (project / "params.yaml").chmod(0o444)
    code, _, err = import_features("--name", "mine", *PLAIN)
    assert code == 2
    assert err.startswith("error: params.yaml: read-only\n  -> `chmod u+w params.yaml`")
    assert not (project / "data/mojicoco/features").exists()
