"""`smhash doctor` where the features were imported."""

from pathlib import Path

import numpy as np
import pytest

from siglip2_multimodal_hash.datasets.index import make_index
from siglip2_multimodal_hash.doctor.checklist import check_list
from siglip2_multimodal_hash.doctor.imported import check_imported, look_up_imported
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.features.imported.importer import import_features
from siglip2_multimodal_hash.features.imported.sources import read_plain
from siglip2_multimodal_hash.memory.needs import run_needs
from siglip2_multimodal_hash.memory.towers import tower_sizes
from siglip2_multimodal_hash.params import Params
from tests.doctor.machines import LAPTOP, params_with


@pytest.fixture
def params(tmp_path: Path) -> Params:
    """Of three imported images of 7 dimensions, without captions."""
    columns = {
        "image_id": [1, 2, 3],
        "file_name": ["1.jpg", "2.jpg", "3.jpg"],
        "split": ["train", "val", "test"],
        "width": [1, 1, 1],
        "height": [1, 1, 1],
        "bytes": [1, 1, 1],
    }
    index = make_index(columns, [["a"]] * 3, np.eye(3, dtype=np.uint8), (1, 2, 3), ("a", "b", "c"))
    np.save(tmp_path / "image.npy", np.arange(1.0, 22.0).reshape(3, 7))
    np.save(tmp_path / "ids.npy", np.arange(1, 4))
    source = read_plain(tmp_path / "image.npy", tmp_path / "ids.npy", None, None)
    imported = import_features(source, index, tmp_path / "features")
    return params_with(
        backbone__checkpoint="imported",
        backbone__revision=imported.digest,
        runtime__features_folder=str(imported.folder),
        fusion__modalities="image",
        fusion__type="concat",
    )


def test_features_that_are_there(params: Params) -> None:
    checkpoint = look_up_imported(params)
    finding = check_imported(checkpoint)
    assert finding.status == "ok"
    assert params.runtime.features_folder in finding.finding
    towers = tower_sizes(params.backbone, checkpoint.config)
    assert (towers.image.width, towers.caption_dim, towers.known) == (7, 0, True)
    # Next to nothing beside the tiny towers' 5 MB.
    assert 4 * towers.parameters < 100_000
    needs = run_needs(params, towers, cuda=False)
    assert needs.device > 0
    said = " ".join(one.finding for one in check_list(LAPTOP, params, needs, towers))
    assert "no tower runs" in said
    assert "million parameters" not in said


def test_what_train_would_refuse_is_refused_here(params: Params) -> None:
    fusion = params.fusion.model_copy(update={"modalities": "both"})
    wrong = params.model_copy(update={"fusion": fusion})
    towers = tower_sizes(wrong.backbone, look_up_imported(wrong).config)
    with pytest.raises(InputError, match=r"-> `smhash use -S fusion\.modalities=image`"):
        run_needs(wrong, towers, cuda=False)


@pytest.mark.parametrize("damage", ["folder", "meta", "array"])
def test_features_that_are_not(params: Params, damage: str) -> None:
    folder = Path(params.runtime.features_folder)
    if damage == "folder":
        folder.rename(folder.with_name("elsewhere"))
    elif damage == "meta":
        (folder / "meta.json").write_text("{}")
    else:
        (folder / "image.npy").unlink()
    finding = check_imported(look_up_imported(params))
    assert finding.status == "fail"
    expected = {"folder": "no imported", "meta": "not those of", "array": "missing: image.npy"}
    assert expected[damage] in finding.finding
    assert finding.remedy is not None
    assert "smhash import-features" in finding.remedy
