"""fusion.project_dim: towers of unlike widths, in one head."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from siglip2_multimodal_hash.errors import ParamsError
from siglip2_multimodal_hash.models.config import HeadConfig
from siglip2_multimodal_hash.models.decomposition import DirectionProjection
from siglip2_multimodal_hash.models.initialisation import set_principal_projections
from siglip2_multimodal_hash.models.linear_codes import principal_components
from siglip2_multimodal_hash.models.losses import HeadLoss
from tests.models.heads import head_config, loss_params, network, pairs, random_labels


def test_by_hand() -> None:
    project = DirectionProjection(2, 3, eps=0.0, learned=True)
    with torch.no_grad():
        project.weight.copy_(torch.tensor([[3.0, 0.0], [0.0, 4.0], [0.0, 0.0]]))
    directions = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    # (1.8, 3.2, 0) has length sqrt(3.24 + 10.24) = 3.6715.
    expected = torch.tensor([[1.0, 0.0, 0.0], [1.8 / 3.6715, 3.2 / 3.6715, 0.0]])
    torch.testing.assert_close(project(directions), expected, atol=1e-4, rtol=0)


def test_a_wider_space_keeps_every_angle_at_the_start() -> None:
    project = DirectionProjection(6, 9, eps=1e-6, learned=True)
    directions = torch.nn.functional.normalize(pairs(5)[0], dim=1)
    projected = project(directions)
    torch.testing.assert_close(projected @ projected.T, directions @ directions.T)


@pytest.mark.parametrize(
    ("changes", "width"),
    [
        ({"fusion": "hadamard_with_magnitude"}, 3 * 5 + 2),
        ({"fusion": "hadamard"}, 15),
        ({"fusion": "concat"}, 10),
        ({"fusion": "concat", "modalities": "image"}, 5),
        ({"fusion": "concat", "modalities": "caption"}, 5),
    ],
)
def test_widths_may_differ(changes: Any, width: int) -> None:
    head = network(image_dim=8, caption_dim=3, project_dim=5, **changes)
    assert head.config.input_dim == width
    output = head(*pairs(4, image_dim=8, caption_dim=3))
    for direction in (output.d_img, output.d_txt):
        if direction is not None:
            assert direction.shape == (4, 5)
            torch.testing.assert_close(direction.norm(dim=1), torch.ones(4))


def test_the_magnitude_is_that_of_the_embedding() -> None:
    v_img, v_txt = pairs(4, image_dim=8, caption_dim=3)
    output = network(image_dim=8, caption_dim=3, project_dim=5)(v_img, v_txt)
    torch.testing.assert_close(output.m_img, v_img.norm(dim=1, keepdim=True).log())
    torch.testing.assert_close(output.m_txt, v_txt.norm(dim=1, keepdim=True).log())


def test_equal_widths_start_on_shared_axes() -> None:
    head = network(project_dim=4)
    assert torch.equal(head.image_projection.weight, head.caption_projection.weight)
    v = pairs(3)[0]
    output = head(v, v)
    torch.testing.assert_close(output.d_img, output.d_txt)


def test_the_alignment_is_defined_and_trains_the_projections() -> None:
    head = network(image_dim=8, caption_dim=3, project_dim=5)
    loss = HeadLoss(loss_params(bce_weight=0.0, hash_weight=0.0, cosine_weight=1.0))
    parts = loss(head(*pairs(12, image_dim=8, caption_dim=3)), random_labels(12))
    assert parts.alignment is not None
    torch.autograd.backward(parts.total)
    for projection in (head.image_projection, head.caption_projection):
        assert projection.weight.grad is not None
        assert projection.weight.grad.abs().max() > 0


def test_0_is_the_head_as_it_was() -> None:
    plain, named = network(), network(project_dim=0)
    assert plain.state_dict().keys() == named.state_dict().keys()
    assert not any("projection" in name for name in plain.state_dict())
    assert "project_dim" not in plain.config.to_json()
    assert HeadConfig.from_json(plain.config.to_json()).project_dim == 0


def test_json_round_trip() -> None:
    config = head_config(project_dim=5, image_dim=8, caption_dim=3)
    assert HeadConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize("value", [-1, True, 2.0, "8"])
def test_a_width_is_a_whole_number(value: object) -> None:
    with pytest.raises(ParamsError, match="project_dim = "):
        HeadConfig.from_json(head_config().to_json() | {"project_dim": value})


def test_a_modality_that_is_not_used_may_have_no_width() -> None:
    assert head_config(fusion="concat", modalities="image", caption_dim=0).input_dim == 6
    assert head_config(fusion="concat", modalities="caption", image_dim=0).input_dim == 6


def test_a_fixed_map_is_that_onto_the_principal_components() -> None:
    """As scikit-learn's PCA, without its centring: the direction keeps its origin."""
    v_img, v_txt = pairs(300, image_dim=8, caption_dim=3)
    head = network(image_dim=8, caption_dim=3, project_dim=2, projection="pca")
    batches = zip(torch.split(v_img, 64), torch.split(v_txt, 64), strict=True)
    set_principal_projections(head, batches)
    for projection, v in zip(head.projections(), (v_img, v_txt), strict=True):
        assert not projection.weight.requires_grad
        directions = torch.nn.functional.normalize(v, dim=1).numpy()
        expected = PCA(2, svd_solver="full").fit(directions).components_
        cosines = (projection.weight.numpy() * expected).sum(axis=1)
        np.testing.assert_allclose(np.abs(cosines), 1, atol=1e-5)


def test_equal_widths_share_the_components_of_both() -> None:
    v_img, v_txt = pairs(300)
    head = network(project_dim=2, projection="pca")
    set_principal_projections(head, [(v_img, v_txt)])
    image, caption = (projection.weight for projection in head.projections())
    assert torch.equal(image, caption)


def test_components_that_the_data_do_not_span_are_0() -> None:
    """Three directions vary in two dimensions, and no map leads beyond the width itself."""
    v = torch.eye(5)[:3]
    head = network(image_dim=5, caption_dim=5, project_dim=7, projection="pca")
    set_principal_projections(head, [(v, v)])
    lengths = head.image_projection.weight.norm(dim=1)
    torch.testing.assert_close(lengths, torch.tensor([1.0, 1, 0, 0, 0, 0, 0]))


def test_the_component_of_hand_made_variances() -> None:
    covariance = torch.diag(torch.tensor([1.0, 4.0, 0.0], dtype=torch.float64))
    found = principal_components(covariance, 2)
    assert torch.equal(found.float(), torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]))
