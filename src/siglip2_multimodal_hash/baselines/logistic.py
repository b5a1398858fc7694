"""Logistic regression on [v_img, v_txt], the linear probe: a classifier without a hidden layer.

One linear layer on standardised inputs, fitted to its optimum: the problem is convex, so there is
no rate, no epoch and no seed to choose, only how strongly the weights are held back, and that is
chosen on val.

Scikit-learn solves the same problem a class at a time, and on the CPU alone; here all classes are
one matrix product, on a GPU where there is one. On the embedded default (6,000 rows of 256, 80
classes) and one thread the two take the same time of the CPU, some 5 s
(`benchmarks/scikit_learn.py`); on two threads beside other work scikit-learn's took minutes there.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.evaluation.average_precision import mean_average_precision
from siglip2_multimodal_hash.progress import phase, track

logger = logging.getLogger(__name__)

STRENGTHS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""Lambdas that are tried, falling, so that each fit starts near its end."""
MAX_ITERATIONS = 200
TOLERANCE = 1e-5
"""Tolerance on the largest derivative of the mean loss."""
CONSTANT_BELOW = 1e-6
"""Spread of a column that rounding alone gives: it is centred, not blown up."""
BLOCK_ROWS = 8192

Matrix = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class LogisticRegression:
    """p(class | x) = sigmoid(((x - mean) * scale) @ weight + bias).

    Attributes:
        mean: float32 [D], of the training vectors.
        scale: float32 [D], one over their standard deviation; 1 where they do not vary.
        weight: float32 [D, C].
        bias: float32 [C].
        strength: Lambda, chosen on val.
        val_map: Macro mAP on val.
    """

    mean: Tensor
    scale: Tensor
    weight: Tensor
    bias: Tensor
    strength: float
    val_map: float

    def scores(self, vectors: Matrix) -> Matrix:
        """Probabilities of the classes, float32 [N, C].

        Args:
            vectors: float32 [N, D].
        """
        found = np.empty((len(vectors), len(self.bias)), dtype=np.float32)
        for start in range(0, len(vectors), BLOCK_ROWS):
            rows = slice(start, start + BLOCK_ROWS)
            x = (_tensor(vectors[rows], self.mean.device) - self.mean) * self.scale
            logits = torch.addmm(self.bias, x, self.weight)
            found[rows] = logits.sigmoid().float().cpu().numpy()
        return found


def fit_logistic_regression(
    train: Matrix,
    train_labels: Labels,
    val: Matrix,
    val_labels: Labels,
    *,
    strengths: Sequence[float] = STRENGTHS,
    device: torch.device | None = None,
) -> LogisticRegression:
    """Minimise mean cross-entropy + lambda / 2 * |weight|^2, and choose lambda by val mAP.

    The cross-entropy is summed over the classes and averaged over the rows, so that lambda is
    scikit-learn's 1 / (C * n); the bias is free. L-BFGS (Liu and Nocedal, 1989) with a strong
    Wolfe line search, each fit starting from the one before. The first lambda that brings no better
    val mAP is the last: what follows holds the weights back still less.

    Args:
        train: float32 [n, D].
        train_labels: uint8 [n, C].
        val: float32 [m, D].
        val_labels: uint8 [m, C].
        strengths: Lambdas, in falling order.
        device: Device of the fit; None is the CPU.

    Raises:
        DataError: There is no training row, or the rows of vectors and labels differ.
        InputError: There is no lambda, or they are not positive and falling.
    """
    if not strengths or strengths[-1] <= 0 or list(strengths) != sorted(strengths, reverse=True):
        raise InputError(f"lambdas of the logistic regression: {strengths}, not positive, falling")
    for split, vectors, labels in (("train", train, train_labels), ("val", val, val_labels)):
        if not len(vectors) or len(vectors) != len(labels):
            raise DataError(
                f"{split}: {len(vectors)} rows of embeddings, {len(labels)} of labels",
                "the embeddings and the index must be of the same images: run `dvc repro`",
            )
    x, y = _tensor(train, device), _tensor(train_labels, device)
    mean, deviation = x.mean(0), x.std(0, correction=0)
    scale = 1 / deviation.masked_fill(deviation < CONSTANT_BELOW, 1)
    x = x.sub(mean).mul_(scale)
    # The log odds of the classes, half an image added to either side: see `losses.prior_logits`.
    bias = ((y.sum(0) + 0.5) / (len(y) - y.sum(0) + 0.5)).log()
    weight = x.new_zeros(x.shape[1], y.shape[1])
    axes = torch.linalg.eigh(x.T @ x / len(x))
    best: LogisticRegression | None = None
    for strength in track(strengths, "logistic regression", "lambda"):
        with phase(f"lambda {strength:g}"):
            weight, bias = _minimise(x, y, weight, bias, strength, *axes)
        found = LogisticRegression(mean, scale, weight, bias, strength, 0.0)
        val_map = mean_average_precision(found.scores(val), val_labels).value
        logger.debug("logistic_regression: lambda %g, val mAP %.4f", strength, val_map)
        if best is not None and val_map <= best.val_map:
            break
        best = LogisticRegression(mean, scale, weight, bias, strength, val_map)
    assert best is not None
    logger.info("logistic_regression: lambda %g, val mAP %.4f", best.strength, best.val_map)
    return best


def _minimise(
    x: Tensor,
    y: Tensor,
    weight: Tensor,
    bias: Tensor,
    strength: float,
    moments: Tensor,
    axes: Tensor,
) -> tuple[Tensor, Tensor]:
    """The optimum for one lambda, searched from ``weight`` and ``bias``.

    Searched along the principal axes of x, in steps of about the same curvature: the second
    derivatives of a class are taken for x'x / n times its mean p (1 - p) at the start.
    On features of real photos and captions this takes less than half the iterations.
    """
    p = torch.addmm(bias, x, weight).sigmoid()
    curvature = (p * (1 - p)).mean(0).clamp(min=1e-6)
    scale = (moments.clamp(min=0)[:, None] * curvature + strength).sqrt()
    bias_scale = curvature.sqrt()
    steps = (axes.T @ weight * scale).requires_grad_()
    bias_steps = (bias * bias_scale).requires_grad_()
    solver: torch.optim.Optimizer = torch.optim.LBFGS(
        [steps, bias_steps],
        max_iter=MAX_ITERATIONS,
        tolerance_grad=TOLERANCE,
        tolerance_change=1e-12,
        line_search_fn="strong_wolfe",
    )

    def objective() -> float:
        solver.zero_grad()
        along = steps / scale
        logits = torch.addmm(bias_steps / bias_scale, x, axes @ along)
        total = functional.binary_cross_entropy_with_logits(logits, y, reduction="sum") / len(x)
        loss = total + strength / 2 * along.square().sum()
        torch.autograd.backward(loss)
        return float(loss.detach())

    solver.step(objective)
    return axes @ (steps / scale).detach(), (bias_steps / bias_scale).detach()


def _tensor(array: npt.NDArray[np.generic], device: torch.device | None) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)).to(device)
