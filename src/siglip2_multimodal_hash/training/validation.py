"""A pass over the validation split, and the figure that model selection goes by."""

import torch

from siglip2_multimodal_hash.device import Precision
from siglip2_multimodal_hash.evaluation.average_precision import mean_average_precision
from siglip2_multimodal_hash.models.losses import HeadLoss
from siglip2_multimodal_hash.models.network import HashNetwork, HeadOutput
from siglip2_multimodal_hash.training.data import ValidationData
from siglip2_multimodal_hash.training.settings import FitSettings
from siglip2_multimodal_hash.training.trace import Losses, LossTrace

# Pairs that go through the head at a time: some 30 MB of activations for SigLIP 2 base.
CHUNK = 2048


@torch.inference_mode()
def validate(
    network: HashNetwork,
    loss: HeadLoss,
    data: ValidationData,
    precision: Precision,
    settings: FitSettings,
    *,
    place: str,
) -> tuple[Losses, float]:
    """Losses and mAP on the validation split.

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
        Mean of each part of the loss over the samples, and mAP over the classes with a positive.

    Raises:
        InputError: A loss is NaN or infinite.
        DataError: No image of the split has a label.
    """
    network.eval()
    # Not `runtime.dataloader.inference_batch_size`: kernels for another number of rows round
    # differently, and no parameter of `runtime` may change what comes out.
    images, captions = torch.split(data.v_img, CHUNK), torch.split(data.v_txt, CHUNK)
    outputs: list[HeadOutput] = []
    for v_img, v_txt in zip(images, captions, strict=True):
        with precision.autocast():
            outputs.append(network(v_img, v_txt))
    output = HeadOutput.joined(outputs)
    trace = LossTrace()
    for start, stop, batches in _whole_and_rest(len(data), settings.training.batch_size):
        parts = loss(output.rows(start, stop), data.labels[start:stop], batches)
        trace.add(parts.present(), stop - start, place)
    trace.require_finite(settings)
    scores = output.logits.float().sigmoid().cpu().numpy()
    return trace.means(), mean_average_precision(scores, data.labels.cpu().numpy()).value


def _whole_and_rest(n: int, size: int) -> list[tuple[int, int, int]]:
    """Start, stop and number of batches: of all whole batches together, and of what is left."""
    whole = n // size * size
    pieces = [(0, whole, whole // size), (whole, n, 1)]
    return [piece for piece in pieces if piece[0] < piece[1]]
