"""Sizes and needs against numbers worked out by hand, and against the files that a run leaves."""

import json
import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from ruamel.yaml import YAML
from safetensors import safe_open

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.memory.needs import (
    CUDA_CONTEXT,
    GIB,
    PROCESS,
    dataset_size,
    head_weights,
    layer_bytes,
    require_head,
)
from siglip2_multimodal_hash.memory.towers import Tower, tower_sizes
from siglip2_multimodal_hash.models.config import HeadConfig
from siglip2_multimodal_hash.models.network import HashNetwork
from tests.doctor.machines import ROOT, needs_of, params_with, towers_of


@pytest.mark.parametrize(
    ("preset", "width", "positions", "values", "millions"),
    [
        # Parameters as the hub counts them.
        ("siglip2-base-256", 768, 256, 3 * 256**2, 375),
        ("siglip2-base-naflex", 768, 256, 256 * 3 * 16**2, 375),
        ("siglip2-large-256", 1024, 256, 3 * 256**2, 882),
        ("siglip2-so400m-384", 1152, 27**2, 3 * 384**2, 1136),
    ],
)
def test_sizes_by_name(preset: str, width: int, positions: int, values: int, millions: int) -> None:
    sizes = towers_of(params_with(preset))
    assert sizes.known
    assert (sizes.image.width, sizes.text.width, sizes.caption_dim) == (width,) * 3
    assert (sizes.image.positions, sizes.text.positions) == (positions, 64)
    assert sizes.image.input_values == values
    assert sizes.parameters / 1e6 == pytest.approx(millions, rel=0.01)


def test_the_captions_of_the_giant_are_as_wide_as_its_images() -> None:
    params = params_with(backbone__checkpoint="google/siglip2-giant-opt-patch16-256")
    sizes = towers_of(params)
    assert (sizes.image.width, sizes.text.width, sizes.caption_dim) == (1536, 1152, 1536)


def test_an_unknown_name_is_taken_for_base() -> None:
    sizes = towers_of(params_with(backbone__checkpoint="someone/towers"))
    assert not sizes.known
    assert sizes.image == towers_of(params_with("siglip2-base-256")).image


@pytest.mark.parametrize("preset", ["siglip2-tiny", "siglip2-tiny-naflex"])
def test_sizes_of_the_embedded_checkpoints(preset: str) -> None:
    params = params_with(preset)
    folder = ROOT / params.backbone.checkpoint
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    with safe_open(folder / "model.safetensors", "pt") as weights:
        shapes = [weights.get_slice(name).get_shape() for name in weights.keys()]  # noqa: SIM118
    sizes = tower_sizes(params.backbone, config)
    assert sizes.parameters == pytest.approx(sum(map(math.prod, shapes)), rel=0.05)
    assert (sizes.image.width, sizes.image.positions) == (128, 64)
    assert sizes.image.input_values == 3 * 128**2


def test_a_layer_by_hand() -> None:
    """2 items of 3 positions, width 4, MLP 10: 44 values of 4 bytes; or 8 of 4 and 44 of 2."""
    assert layer_bytes(Tower(4, 10, 12, 3, 0), 2, half=False) == 6 * 176
    assert layer_bytes(Tower(4, 10, 12, 3, 0), 2, half=True) == 6 * (32 + 88)


@pytest.mark.parametrize("adapter", ["none", "residual"])
@pytest.mark.parametrize("bits", [0, 64])
@pytest.mark.parametrize("fusion", ["hadamard_with_magnitude", "gated", "low_rank_bilinear"])
def test_weights_of_the_head(adapter: str, bits: int, fusion: str) -> None:
    params = params_with(
        hash__bits=bits,
        decomposer__adapter=adapter,
        fusion__type=fusion,
        knn__distance="cosine",
    )
    config = HeadConfig.from_params(params, 512, 512, 80)
    with torch.device("meta"):
        counted = sum(w.numel() for w in HashNetwork(config).parameters())
    assert head_weights(config) == pytest.approx(counted, rel=0.001)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"fusion__project_dim": 10**8}, "fusion.project_dim"),
        ({"fusion__mlp_dims": [10**8]}, "fusion.mlp_dims"),
        ({"fusion__mlp_dims": [1024, 10**9]}, "fusion.mlp_dims"),
    ],
)
def test_a_head_too_large_names_the_parameter_that_makes_it_so(
    changes: dict[str, Any], name: str
) -> None:
    params = params_with(**changes)
    with pytest.raises(InputError) as caught:
        require_head(HeadConfig.from_params(params, 128, 128, 80), 64 * GIB)
    assert str(caught.value).startswith(f"{name}: a head of ")
    assert str(caught.value).endswith(f"64.0 GiB are free\n  -> lower {name}")
    assert needs_of(params).largest == name


def test_of_embeddings_that_are_too_wide_a_head_names_its_interaction() -> None:
    params = params_with(fusion__type="gated")
    with pytest.raises(InputError, match=r"-> choose another fusion\.type"):
        require_head(HeadConfig.from_params(params, 10**5, 10**5, 80), 64 * GIB)


def test_the_usual_head_is_small_beside_its_embeddings() -> None:
    params = params_with("coco2014", "siglip2-base-256", "rtx5080-16gb")
    assert needs_of(params).largest == ""
    require_head(HeadConfig.from_params(params, 768, 768, 80), GIB)
    # Without weights to speak of, what goes through it at a time is most of it.
    wide = params_with(runtime__dataloader__inference_batch_size=10**7)
    assert needs_of(wide).largest == "runtime.dataloader.inference_batch_size"


def test_the_disk_of_the_default_run() -> None:
    """Bytes that the stages wrote, by dvc.lock."""
    lock, stages = (
        YAML(typ="safe", pure=True).load((ROOT / name).read_text(encoding="utf-8"))["stages"]
        for name in ("dvc.lock", "dvc.yaml")
    )
    # A lock remembers stages that are no more.
    written = sum(
        out["size"]
        for name, stage in lock.items()
        if name.partition("@")[0] in stages
        for out in stage.get("outs", ())
    )
    assert needs_of(params_with(), cuda=False).outputs == pytest.approx(written, rel=0.1)


def test_coco_on_the_plan_s_card() -> None:
    params = params_with("coco2014", "siglip2-base-256", "rtx5080-16gb")
    needs = needs_of(params)
    # 375 M weights; 256 images of 256 positions: 8 * 768 + 2 * (6 * 768 + 2 * 3072) bytes each.
    layer = 256 * 256 * 27_648
    pixels = 256 * 3 * 256**2 * 4
    assert needs.embed == pytest.approx(4 * 375e6 + layer + pixels + CUDA_CONTEXT, rel=0.01)
    # (123,287 + 616,767) * 768 values, labels, a head of 2.9 M weights, a chunk of 2048 pairs.
    vectors = 4 * (740_054 * 768 + 123_287 * 80)
    assert needs.train == pytest.approx(vectors + 20 * 2.93e6 + CUDA_CONTEXT, rel=0.05)
    assert 3.5 * GIB < needs.device < 4.5 * GIB
    # 16 batches decoded at 640 x 480, 33 prepared.
    ahead = 16 * 256 * 3 * 640 * 480 + 33 * pixels
    assert needs.ahead == ahead
    assert needs.ram > PROCESS + ahead


def test_needs_grow_with_the_towers_and_shrink_in_an_emergency() -> None:
    backbones = ["siglip2-tiny", "siglip2-base-256", "siglip2-large-256", "siglip2-so400m-384"]
    needs = [needs_of(params_with("coco2014", name, "rtx5080-16gb")) for name in backbones]
    assert all(one.embed < other.embed for one, other in pairwise(needs))
    assert all(one.outputs < other.outputs for one, other in pairwise(needs))
    usual, short = (
        needs_of(params_with("coco2014", "siglip2-base-naflex", name))
        for name in ("rtx5080-16gb", "rtx5080-16gb-emergency")
    )
    assert short.embed < usual.embed / 1.5
    assert short.ram < usual.ram / 2


def test_without_a_card_the_main_memory_holds_the_towers() -> None:
    params = params_with("coco2014", "siglip2-base-256", "cpu")
    with_card, without = needs_of(params), needs_of(params, cuda=False)
    assert without.embed == with_card.embed - CUDA_CONTEXT
    assert without.ram > with_card.ram


def test_without_a_card_two_baselines_are_fitted_at_a_time() -> None:
    """The second sees one modality; the third process waits for them."""
    one, two = (
        needs_of(
            params_with(
                "coco2014",
                "siglip2-base-256",
                runtime__dataloader__num_workers=n,
                runtime__dataloader__embed_batch_size=8,
                baselines__untrained=False,
            ),
            cuda=False,
        )
        for n in (1, 2)
    )
    process = PROCESS + 100 * 616_767
    # The linear probe: its input of 2 x 768 columns thrice, and the caption of each image.
    assert one.ram == process + 4 * 123_287 * 768 * (3 * 2 + 1)
    # Two directions, their product and magnitudes against one direction, for 32,768 pairs.
    less = 12 * 32_768 * (3 * 768 + 2 - 768)
    assert two.ram == 3 * process + 2 * two.train - less


def test_the_main_memory_of_coco_is_what_a_rehearsal_took() -> None:
    """benchmarks/coco_scale.py, without a card: 3.5 GiB in the stage that takes most."""
    params = params_with(
        "coco2014", "siglip2-base-256", "cpu", runtime__dataloader__embed_batch_size=8
    )
    assert needs_of(params, cuda=False).ram == pytest.approx(3.5 * GIB, rel=0.25)


@pytest.mark.parametrize(("shortcut", "closed_form"), [("itq", False), ("random", True)])
def test_the_sample_that_a_shortcut_is_solved_from_lies_in_main_memory(
    shortcut: str, closed_form: bool
) -> None:
    learned, solved = (
        params_with("coco2014", hash__shortcut=one, training__closed_form=on)
        for one, on in (("random", False), (shortcut, closed_form))
    )
    # 32,768 pairs; two directions of 128, their product and two magnitudes.
    size = 12 * 32_768 * (3 * 128 + 2)
    if closed_form:
        size += 3 * 8 * 2048 * 8192  # images against sets of labels
    assert needs_of(solved).train == needs_of(learned).train
    assert needs_of(solved, cuda=False).train - needs_of(learned, cuda=False).train == size


def test_sizes_of_the_datasets() -> None:
    size = dataset_size(params_with())
    assert (size.images, size.captions, size.pixels) == (8000, 40_000, 128**2)
    assert dataset_size(params_with("coco2014")).images == 123_287
