"""The training objective: classification, alignment of the modalities, and quality of the bits.

total = bce_weight * bce + cosine_weight * alignment + bits
bits  = hash_weight * (quantisation + lambda_balance * balance + lambda_decorr * decorrelation)
        for ``loss.objective: plan``, and code_weight * code for the others (:mod:`.objectives`)

``bce`` stands for the form of the cross-entropy that ``loss.imbalance`` chooses, ``alignment`` for
that of :mod:`.alignment` that ``loss.alignment`` does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from siglip2_multimodal_hash.models.alignment import AlignmentScale, alignment_loss
from siglip2_multimodal_hash.models.hashing import (
    balance_loss,
    decorrelation_loss,
    quantisation_loss,
)
from siglip2_multimodal_hash.models.network import HeadOutput
from siglip2_multimodal_hash.models.objectives import DISCRETE, code_loss
from siglip2_multimodal_hash.models.objectives.discrete import straight_through_sign
from siglip2_multimodal_hash.params import LossParams

# Beyond this, one positive of a very rare class would outweigh the rest of its batch: COCO's
# rarest classes have some 500 negatives per positive.
MAX_POSITIVE_WEIGHT = 100.0


def positive_weights(labels: Tensor) -> Tensor:
    """Weight of a class's positives: negatives / positives, at most :data:`MAX_POSITIVE_WEIGHT`.

    A class without positives gets the maximum, which then weights nothing.

    Args:
        labels: [n, C] multi-hot labels of the training split.

    Returns:
        float32 [C].
    """
    positives = labels.sum(dim=0, dtype=torch.float64)
    weights = (labels.shape[0] - positives) / positives.clamp(min=1)
    return weights.clamp(max=MAX_POSITIVE_WEIGHT).float()


def focal_loss(logits: Tensor, labels: Tensor, alpha: float, gamma: float) -> Tensor:
    """Mean over batch and classes of -alpha_t (1 - p_t)^gamma log(p_t); Lin et al., ICCV 2017.

    alpha_t is alpha for a positive and 1 - alpha for a negative; p_t is the probability given to
    what is true.

    Args:
        logits: [B, C].
        labels: [B, C] of 0 and 1, in the dtype of ``logits``.
        alpha: Weight of the positives, in (0, 1).
        gamma: Focusing exponent; 0 leaves the weighted cross-entropy.
    """
    signed = (2 * labels - 1) * logits
    # Powers and logs of probabilities by way of log-sigmoid: exact where p_t rounds to 0 or 1.
    log_p_true = functional.logsigmoid(signed)
    modulation = (gamma * functional.logsigmoid(-signed)).exp()
    alpha_true = alpha * labels + (1 - alpha) * (1 - labels)
    return -(alpha_true * modulation * log_p_true).mean()


def asymmetric_loss(
    logits: Tensor, labels: Tensor, gamma_pos: float, gamma_neg: float, clip: float
) -> Tensor:
    """Mean over batch and classes of the asymmetric loss; Ben-Baruch et al., ICCV 2021.

    A positive costs -(1 - p)^gamma_pos log(p), a negative -p_m^gamma_neg log(1 - p_m) with the
    shifted probability p_m = max(p - clip, 0): negatives below ``clip`` cost nothing.

    Args:
        logits: [B, C].
        labels: [B, C] of 0 and 1, in the dtype of ``logits``.
        gamma_pos: Focusing exponent of the positives.
        gamma_neg: Focusing exponent of the negatives.
        clip: In [0, 1).
    """
    log_p, log_not_p = functional.logsigmoid(logits), functional.logsigmoid(-logits)
    positive = (gamma_pos * log_not_p).exp() * log_p
    if clip:
        shifted = (logits.sigmoid() - clip).clamp(min=0)
        # Not 1 - shifted, which loses the digits of a small 1 - p.
        log_not_shifted = (log_not_p.exp() + clip).clamp(max=1).log()
        negative = shifted.pow(gamma_neg) * log_not_shifted
    else:
        negative = (gamma_neg * log_p).exp() * log_not_p
    return -(labels * positive + (1 - labels) * negative).mean()


class LossParts(NamedTuple):
    """The objective and its parts before weighting, scalars; a part that does not apply is None."""

    total: Tensor
    bce: Tensor
    alignment: Tensor | None = None
    quantisation: Tensor | None = None
    balance: Tensor | None = None
    decorrelation: Tensor | None = None
    code: Tensor | None = None

    def present(self) -> dict[str, Tensor]:
        """The parts that apply, by name."""
        return {name: part for name, part in self._asdict().items() if part is not None}


@dataclass(frozen=True)
class HeadLoss:
    """The objective of the head as a callable.

    The hash terms apply where there is a hash layer, the alignment where the head compares the
    directions of two modalities.

    Args:
        params: The ``loss`` section.
        positive_weights: float32 [C] for ``imbalance: class_weights``; see
            :func:`positive_weights`.
        classify: The head's classifier, [B, bits] -> [B, C]; the discrete objectives need it,
            because theirs sees the signs of the code.
        scale: The learned temperature of the alignment; see :func:`.alignment.learned_scale`.
    """

    params: LossParams
    positive_weights: Tensor | None = None
    classify: Callable[[Tensor], Tensor] | None = None
    scale: AlignmentScale | None = None

    def __post_init__(self) -> None:
        if self.classify is None and self.params.objective in DISCRETE:
            raise ValueError(f"loss.objective = {self.params.objective} needs the classifier")
        if self.params.imbalance == "class_weights" and self.positive_weights is None:
            raise ValueError("loss.imbalance = class_weights needs positive_weights")

    def __call__(
        self, output: HeadOutput, labels: Tensor, batches: int = 1, progress: float = 1.0
    ) -> LossParts:
        """Compute the objective in float32, whatever precision the head ran in.

        Args:
            output: Of one or more batches of equal size, B pairs in all.
            labels: float32 [B, C] of 0 and 1.
            batches: Number of batches. Balance, decorrelation, similarity of pairs and alignment
                against other pairs are properties of a batch; of several, the mean is taken.
            progress: Share of the fit that is done, in [0, 1]; validation stands at its end.
        """
        params = self.params
        bce = self._classification(self._logits(output), labels)
        total = params.bce_weight * bce
        alignment = self._alignment(output, labels, batches)
        if alignment is not None:
            total = total + params.cosine_weight * alignment
        if output.pre_code is None or output.soft_code is None:
            return LossParts(total, bce, alignment)
        u, h, y = (
            part.float().reshape(batches, -1, part.shape[-1])
            for part in (output.pre_code, output.soft_code, labels)
        )
        if params.objective != "plan":
            code = code_loss(params, u, h, y, progress)
            total = total + params.code_weight * code
            return LossParts(total, bce, alignment, code=code)
        quantisation, balance = quantisation_loss(h), balance_loss(h)
        decorrelation = decorrelation_loss(h)
        total = total + params.hash_weight * (
            quantisation + params.lambda_balance * balance + params.lambda_decorr * decorrelation
        )
        return LossParts(total, bce, alignment, quantisation, balance, decorrelation)

    def prior_logits(self, labels: Tensor) -> Tensor:
        """The logits that suit a class's frequency alone: its log odds, weighted as the loss is.

        They minimise the classification term among all constants (but for the focusing of the
        focal and the asymmetric loss). Half an image is added to either side, so that they are
        finite.

        Args:
            labels: [n, C] of the training split.

        Returns:
            float32 [C].
        """
        positives = labels.sum(dim=0, dtype=torch.float64)
        odds = (positives + 0.5) / (labels.shape[0] - positives + 0.5)
        if self.params.imbalance == "focal":
            odds = odds * (self.params.focal_alpha / (1 - self.params.focal_alpha))
        elif (weights := self._weights()) is not None:
            odds = odds * weights
        return odds.log().float()

    def _logits(self, output: HeadOutput) -> Tensor:
        if output.soft_code is not None and self.params.objective in DISCRETE:
            assert self.classify is not None
            return self.classify(straight_through_sign(output.soft_code.float())).float()
        return output.logits.float()

    def _classification(self, logits: Tensor, labels: Tensor) -> Tensor:
        if self.params.imbalance == "focal":
            return focal_loss(logits, labels, self.params.focal_alpha, self.params.focal_gamma)
        if self.params.imbalance == "asymmetric":
            return asymmetric_loss(
                logits,
                labels,
                self.params.asymmetric_gamma_pos,
                self.params.asymmetric_gamma_neg,
                self.params.asymmetric_clip,
            )
        return functional.binary_cross_entropy_with_logits(
            logits, labels, pos_weight=self._weights()
        )

    def _weights(self) -> Tensor | None:
        return self.positive_weights if self.params.imbalance == "class_weights" else None

    def _alignment(self, output: HeadOutput, labels: Tensor, batches: int) -> Tensor | None:
        d_img, d_txt = output.d_img, output.d_txt
        # A head of unlike widths is built for a weight of 0 alone.
        if d_img is None or d_txt is None or d_img.shape[-1] != d_txt.shape[-1]:
            return None
        d_img, d_txt, y = (
            part.float().reshape(batches, -1, part.shape[-1]) for part in (d_img, d_txt, labels)
        )
        return alignment_loss(self.params, d_img, d_txt, y, self.scale)
