"""Norms of a network's gradients and weights, parameter by parameter."""

import torch
from torch import nn


@torch.no_grad()
def parameter_norms(network: nn.Module) -> dict[str, float]:
    """Euclidean norms as ``gradient/NAME`` and ``weight/NAME``, read from the device in one go.

    A parameter without a gradient has 0: nothing of the loss depends on it.
    """
    names = [name for name, _ in network.named_parameters()]
    weights = [v.float().norm() for v in network.parameters()]
    gradients = [
        torch.zeros_like(weight) if v.grad is None else v.grad.float().norm()
        for v, weight in zip(network.parameters(), weights, strict=True)
    ]
    norms = torch.stack(gradients + weights).tolist()
    keys = [*(f"gradient/{name}" for name in names), *(f"weight/{name}" for name in names)]
    return dict(zip(keys, norms, strict=True))
