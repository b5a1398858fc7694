"""The objectives as loops over NumPy numbers, from their formulas, and inputs for them."""

import math

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def random_items(
    seed: int, batches: int, samples: int, bits: int, classes: int = 5
) -> tuple[Array, Array]:
    """u [batches, samples, bits] and labels [batches, samples, classes]; some without a label."""
    generator = np.random.default_rng(seed)
    u = generator.normal(size=(batches, samples, bits)) * 2
    return u, (generator.random((batches, samples, classes)) < 0.3).astype(np.float64)


def plain_pairwise(codes: Array, labels: Array, soft: float) -> float:
    """One batch: codes [B, bits], labels [B, C]."""
    costs: dict[bool, list[float]] = {True: [], False: []}
    for i, one in enumerate(codes):
        for j, other in enumerate(codes):
            if i == j:
                continue
            shared = float((labels[i] * labels[j]).sum())
            union = float(np.maximum(labels[i], labels[j]).sum())
            s = (1 - soft) + soft * shared / union if shared else 0.0
            t = 10 / codes.shape[1] * float(one @ other)
            costs[shared > 0].append(math.log(1 + math.exp(t)) - s * t)
    return sum(float(np.mean(kind)) for kind in costs.values() if kind) / 2


def plain_central(u: Array, centres: Array) -> float:
    """u and centres of +-1, both [B, bits]."""
    total = 0.0
    for value, centre in zip(u.ravel(), centres.ravel(), strict=True):
        h, c = math.tanh(value), (1 + centre) / 2
        p = (1 + h) / 2
        total -= c * math.log(p) + (1 - c) * math.log(1 - p)
        total += 1e-4 * math.log(math.cosh(abs(h) - 1))
    return total / u.size


def plain_orthogonal(u: Array, labels: Array, targets: Array) -> float:
    """u [B, bits], labels [B, C], targets of +-1 [C, bits]."""
    costs = []
    scale = math.sqrt(2) * math.log(len(targets) - 1)
    for one, y in zip(u, labels, strict=True):
        if not y.any():
            continue
        cosines = np.array([one @ o / np.linalg.norm(one) / np.linalg.norm(o) for o in targets])
        p = np.exp(scale * cosines) / np.exp(scale * cosines).sum()
        costs.append(-float((y / y.sum() * np.log(p)).sum()))
    return float(np.mean(costs)) if costs else 0.0
