"""Small heads and inputs for the tests of networks and losses."""

from typing import Any

import torch
from torch import Tensor

from siglip2_multimodal_hash.models.config import HeadConfig
from siglip2_multimodal_hash.models.network import HashNetwork
from siglip2_multimodal_hash.params import LossParams
from tests.small_heads import small_head_config

DIM, CLASSES, BITS = 6, 4, 16


def head_config(**changes: Any) -> HeadConfig:
    return small_head_config(DIM, CLASSES, (10, 8), {"bits": BITS} | changes)


def network(seed: int = 0, **changes: Any) -> HashNetwork:
    torch.manual_seed(seed)
    return HashNetwork(head_config(**changes))


def pairs(count: int, seed: int = 1, image_dim: int = DIM, caption_dim: int = DIM) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(count, image_dim, generator=generator) * 3 + 1,
        torch.randn(count, caption_dim, generator=generator) * 2 - 1,
    ]


def random_labels(count: int, seed: int = 2, classes: int = CLASSES) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(count, classes, generator=generator) < 0.4).float()


def loss_params(**changes: Any) -> LossParams:
    values: dict[str, Any] = {
        "objective": "plan",
        "bce_weight": 1.0,
        "alignment": "cosine",
        "cosine_weight": 1.0,
        "temperature": 0.1,
        "learn_temperature": False,
        "hash_weight": 0.1,
        "lambda_balance": 0.1,
        "lambda_decorr": 0.01,
        "code_weight": 0.01,
        "pairwise_soft": 0.0,
        "continuation_beta": 10.0,
        "imbalance": "none",
        "focal_alpha": 0.25,
        "focal_gamma": 2.0,
        "asymmetric_gamma_pos": 0.0,
        "asymmetric_gamma_neg": 4.0,
        "asymmetric_clip": 0.05,
    }
    return LossParams(**(values | changes))


def trainable_parameters(head: HashNetwork) -> int:
    return sum(parameter.numel() for parameter in head.parameters())
