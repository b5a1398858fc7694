"""A pass over the validation split: losses, and the figures that a fit is followed by."""

import torch

from siglip2_multimodal_hash.device import Precision
from siglip2_multimodal_hash.evaluation.average_precision import mean_average_precision
from siglip2_multimodal_hash.evaluation.decisions import at_threshold
from siglip2_multimodal_hash.evaluation.heads import SIGMOID_THRESHOLD
from siglip2_multimodal_hash.models.losses import HeadLoss
from siglip2_multimodal_hash.models.network import HashNetwork, HeadOutput
from siglip2_multimodal_hash.training.collapse import Figures, bit_figures, direction_figures
from siglip2_multimodal_hash.training.data import ValidationData
from siglip2_multimodal_hash.training.settings import FitSettings
from siglip2_multimodal_hash.training.trace import Losses, LossTrace


@torch.inference_mode()
def validate(
    network: HashNetwork,
    loss: HeadLoss,
    data: ValidationData,
    precision: Precision,
    settings: FitSettings,
    *,
    place: str,
) -> tuple[Losses, Figures]:
    """Losses and figures of the validation split.

    Balance and decorrelation depend on the size of the batch, so the losses are means over batches
    of ``training.batch_size``, as in training, whatever size the network is run in.

    Args:
        network: Left in eval mode.
        loss: The training objective.
        data: On the network's device.
        precision: Of the network.
        settings: Sections of params.yaml.
        place: Title of the epoch, for the message if a loss is not finite.

    Returns:
        Mean of each part of the loss over the samples; and ``mAP`` over the classes with a
        positive, F1 at 0.5 where that is monitored, and the signs of a collapse
        (:mod:`.collapse`): of the directions only where a fit can move them.

    Raises:
        InputError: A loss is NaN or infinite.
        DataError: No image of the split has a label.
    """
    output = run_head(network, data, precision)
    trace = LossTrace()
    for start, stop, batches in _whole_and_rest(len(data), settings.training.batch_size):
        parts = loss(output.rows(start, stop), data.labels[start:stop], batches)
        trace.add(parts.present(), stop - start, place)
    trace.require_finite(settings)
    scores, labels = output.logits.float().sigmoid().cpu().numpy(), data.labels.cpu().numpy()
    figures = {"mAP": mean_average_precision(scores, labels).value}
    monitor = settings.training.monitor
    if monitor in ("f1_macro", "f1_micro"):
        figures[monitor] = at_threshold(scores, labels, SIGMOID_THRESHOLD).figures()[monitor]
    if network.config.trains_directions:
        figures |= direction_figures(output)
    return trace.means(), figures | bit_figures(output)


@torch.inference_mode()
def run_head(network: HashNetwork, data: ValidationData, precision: Precision) -> HeadOutput:
    """The head's output for the whole split; leaves the network in eval mode."""
    network.eval()
    outputs: list[HeadOutput] = []
    for v_img, v_txt in data.pairs():
        with precision.autocast():
            outputs.append(network(v_img, v_txt))
    return HeadOutput.joined(outputs)


def _whole_and_rest(n: int, size: int) -> list[tuple[int, int, int]]:
    """Start, stop and number of batches: of all whole batches together, and of what is left."""
    whole = n // size * size
    pieces = [(0, whole, whole // size), (whole, n, 1)]
    return [piece for piece in pieces if piece[0] < piece[1]]
