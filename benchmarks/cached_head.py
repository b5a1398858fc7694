"""The head of ``params.yaml`` and its updates, on embeddings drawn at random."""

import dataclasses

import torch
from torch import Tensor

from benchmarks.towers_and_images import project_params
from siglip2_multimodal_hash.device import choose_precision
from siglip2_multimodal_hash.models.config import HeadConfig
from siglip2_multimodal_hash.models.losses import HeadLoss
from siglip2_multimodal_hash.models.network import HashNetwork
from siglip2_multimodal_hash.training.data import TrainingData
from siglip2_multimodal_hash.training.epoch import EpochTrainer
from siglip2_multimodal_hash.training.settings import FitSettings

CLASSES, BATCH = 80, 64


class CachedHead:
    """A head with its optimiser; an update takes 64 pairs, as ``params.yaml`` cuts them.

    Args:
        width: Of both embeddings.
        device: Device of the training.
    """

    def __init__(self, width: int, device: torch.device) -> None:
        params = project_params()
        torch.manual_seed(0)
        network = HashNetwork(HeadConfig.from_params(params, width, width, CLASSES)).to(device)
        precision = choose_precision(params.training.mixed_precision, device)
        self._width, self._device = width, device
        self._labels = (torch.rand(BATCH, CLASSES) < 0.04).float().to(device)
        self._trainer = EpochTrainer(
            network=network,
            loss=HeadLoss(params.loss, None, network.classifier),
            data=self._random(BATCH),
            optimizer=torch.optim.AdamW(network.parameters(), lr=1e-5, fused=True),
            scaler=torch.amp.GradScaler(device.type, enabled=precision.scaled),
            precision=precision,
            settings=FitSettings.from_params(params),
            epochs=params.training.num_epochs,
            learning_rate=lambda _update: 1e-5,
            after_update=lambda _update: None,
        )

    def update(self, v_img: Tensor, v_txt: Tensor) -> None:
        """One update on a batch that the towers have just embedded.

        Args:
            v_img: float32 [B, width].
            v_txt: float32 [B, width].
        """
        # Not what inference mode gave: nothing may be saved of that for a gradient.
        pairs = TrainingData(
            v_img.clone(), v_txt.clone(), torch.arange(len(v_img) + 1), self._labels[: len(v_img)]
        )
        self._run(pairs)

    def train(self, updates: int) -> None:
        """So many updates on embeddings that are all there, in one epoch."""
        self._run(self._random(updates * BATCH))

    def _run(self, data: TrainingData) -> None:
        dataclasses.replace(self._trainer, data=data).run(1, 0, lambda _done, _means: None)
        if self._device.type == "cuda":
            torch.cuda.synchronize()

    def _random(self, rows: int) -> TrainingData:
        v_img, v_txt = (torch.randn(rows, self._width, device=self._device) for _ in range(2))
        labels = self._labels.repeat(-(-rows // BATCH), 1)[:rows]
        return TrainingData(v_img, v_txt, torch.arange(rows + 1), labels)
