"""Signs of a collapse while a fit goes on: directions that become one, bits that become constants.

N val items, D the width of a direction.
"""

import logging
from collections.abc import Sequence

from torch import Tensor

from siglip2_multimodal_hash.evaluation.code_quality import bit_entropies
from siglip2_multimodal_hash.models.config import HeadConfig
from siglip2_multimodal_hash.models.network import HeadOutput
from siglip2_multimodal_hash.params import LossParams
from siglip2_multimodal_hash.retrieval.codes import binarize
from siglip2_multimodal_hash.training.checkpoint import EpochRecord

logger = logging.getLogger(__name__)

LARGEST_COSINE = 0.9
"""Mean cosine of different items beyond which their directions tell little apart."""

LEAST_ENTROPY = 0.2
"""Mean entropy of the bits below which codes tell little apart; a fit that works has 0.9."""

Figures = dict[str, float]


def mean_pair_cosine(one: Tensor, other: Tensor) -> float:
    """Mean of one_i . other_j over i != j, by sums alone: O(N D).

    Args:
        one: [N, D] unit vectors, N >= 2.
        other: [N, D]; ``one`` itself for the cosines within it.
    """
    n, one, other = len(one), one.double(), other.double()
    # The sums over all pairs, less those of an item with itself.
    total = one.sum(dim=0) @ other.sum(dim=0) - (one * other).sum()
    return total.item() / (n * (n - 1))


def direction_figures(output: HeadOutput) -> Figures:
    """``direction_cosine`` of images (or captions alone), ``cross_cosine`` of image and caption.

    Both are means over pairs of different items.
    """
    d_img, d_txt = output.d_img, output.d_txt
    shown = d_txt if d_img is None else d_img
    if shown is None or len(shown) < 2:
        return {}
    figures = {"direction_cosine": mean_pair_cosine(shown, shown)}
    if d_img is not None and d_txt is not None and d_img.shape == d_txt.shape:
        figures["cross_cosine"] = mean_pair_cosine(d_img, d_txt)
    return figures


def bit_figures(output: HeadOutput) -> Figures:
    """``bit_entropy``: mean entropy of the bits, 0 to 1; nothing without a hash layer."""
    if output.soft_code is None:
        return {}
    entropies = bit_entropies(binarize(output.soft_code.float().cpu().numpy()))
    return {"bit_entropy": float(entropies.mean())}


def constant_bits(record: EpochRecord) -> bool:
    """Whether the codes tell little apart; False where a record has no entropy."""
    return record.get("val_bit_entropy", 1.0) < LEAST_ENTROPY


def warn_of_collapse(
    place: str,
    history: Sequence[EpochRecord],
    start: Figures,
    loss: LossParams,
    config: HeadConfig,
) -> None:
    """Warn once of either collapse, at the first validation that shows it.

    Frozen towers may have a large common component by themselves, so directions are compared with
    what they were before the first update: half of what kept them apart must be gone.

    Args:
        place: Title of the epoch.
        history: With the record of this epoch at its end.
        start: :func:`direction_figures` before the first update.
        loss: The ``loss`` section.
        config: Of the head.
    """
    before = start.get("direction_cosine", 0.0)

    def one_direction(record: EpochRecord) -> bool:
        cosine = record.get("val_direction_cosine", -1.0)
        return cosine > LARGEST_COSINE and 1 - cosine < (1 - before) / 2

    *earlier, now = history
    if one_direction(now) and not any(map(one_direction, earlier)):
        logger.warning(
            "%s: the directions of different val items have become one: mean cosine %.3f, before "
            "training %.3f\n  -> %s",
            place,
            now["val_direction_cosine"],
            before,
            _alignment_remedy(loss),
        )
    if constant_bits(now) and not any(map(constant_bits, earlier)):
        remedy = f"choose another loss.objective (now {loss.objective}), or lower the learning rate"
        if config.normalize == "none":
            remedy = "set hash.normalize to batchnorm"
        logger.warning(
            "%s: the bits have become constants: mean entropy on val %.3f of 1\n  -> %s",
            place,
            now["val_bit_entropy"],
            remedy,
        )


def _alignment_remedy(loss: LossParams) -> str:
    if not loss.cosine_weight:
        return "lower the learning rate"
    if loss.alignment == "cosine":
        return (
            f"set loss.cosine_weight (now {loss.cosine_weight:g}) to 0, or loss.alignment (now "
            "cosine, which only pulls pairs together) to sigmoid or infonce"
        )
    return (
        f"lower loss.cosine_weight (now {loss.cosine_weight:g}) or loss.temperature (now "
        f"{loss.temperature:g})"
    )
