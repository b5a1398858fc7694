"""Towers through OpenVINO; and what is refused where they cannot go through it."""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.features.openvino_backend import backend_version, with_openvino
from siglip2_multimodal_hash.features.store import load_embeddings
from siglip2_multimodal_hash.features.towers import load_towers
from tests.features.tiny import Embed, contents, make_backbone, make_runtime

CPU = torch.device("cpu")


def direction(features: Any) -> Any:
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def test_embeddings_are_those_of_pytorch_but_for_rounding(
    embed: Embed, checkpoints: dict[str, Path]
) -> None:
    pytest.importorskip("openvino")
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA")
    checkpoint, runtime = checkpoints["siglip"], make_runtime(2, 5, backend="openvino")
    plain, folder = embed(checkpoint, "plain"), embed(checkpoint, "openvino", runtime=runtime)
    expected, found = load_embeddings(plain), load_embeddings(folder)
    for name in ("image", "caption", "prompt"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=1e-5)
    assert contents(embed(checkpoint, "again", runtime=runtime)) == contents(folder)
    assert os.environ.get("ONEDNN_MAX_CPU_ISA") == limit


def test_bfloat16_gives_the_same_directions(checkpoints: dict[str, Path]) -> None:
    openvino = pytest.importorskip("openvino")
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this CPU has no bfloat16")
    plain = load_towers(make_backbone(checkpoints["siglip"]), CPU)
    half = load_towers(make_backbone(checkpoints["siglip"], amp_dtype="bfloat16"), CPU)
    inputs = plain.preprocess([Image.effect_noise((70, 50), 80).convert("RGB")] * 3)
    exact = direction(plain.encode_images(inputs).numpy())
    rounded = direction(with_openvino(half).encode_images(inputs).numpy())
    assert 0 < 1 - (exact * rounded).sum(axis=1).min() < 1e-3


def test_without_openvino_the_remedy_is_named(
    checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    towers = load_towers(make_backbone(checkpoints["siglip"]), CPU)
    with pytest.raises(InputError, match=r"not installed\n.*pip install .*openvino.* torch"):
        with_openvino(towers)


def test_naflex_is_refused(checkpoints: dict[str, Path]) -> None:
    pytest.importorskip("openvino")
    towers = load_towers(make_backbone(checkpoints["siglip2"]), CPU)
    with pytest.raises(InputError, match="only for towers of fixed resolution"):
        with_openvino(towers)


@pytest.mark.parametrize("other", [{"engine": "ray"}, {"compile": True}])
def test_it_excludes_ray_and_the_compiler(other: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"only with runtime\.embed"):
        make_runtime(backend="openvino", **other)


def test_pytorch_is_counted_among_the_libraries() -> None:
    assert backend_version("torch") == "torch"
