"""Training as scripts have it: a Dataset, a DataLoader, a loop over micro-batches."""

import time

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.synthetic_features import Features
from siglip2_multimodal_hash.device import choose_precision
from siglip2_multimodal_hash.models.config import HeadConfig
from siglip2_multimodal_hash.models.losses import HeadLoss
from siglip2_multimodal_hash.models.network import HashNetwork
from siglip2_multimodal_hash.training.settings import FitSettings

Sample = tuple[Tensor, Tensor, Tensor]


class FeatureDataset(Dataset[Sample]):
    """An image's embedding, one of its captions', and its labels."""

    def __init__(self, features: Features) -> None:
        self._features = features

    def __len__(self) -> int:
        return len(self._features.labels)

    def __getitem__(self, row: int) -> Sample:
        image, caption, offsets, labels = self._features
        chosen = int(torch.randint(int(offsets[row]), int(offsets[row + 1]), ()))
        return (
            torch.from_numpy(np.array(image[row])),
            torch.from_numpy(np.array(caption[chosen])),
            torch.from_numpy(labels[row].astype(np.float32)),
        )


def loop_seconds(
    features: Features,
    config: HeadConfig,
    settings: FitSettings,
    device: torch.device,
    *,
    updates: int,
    workers: int,
) -> float:
    """Seconds of an update, the first (which starts the loader's processes) left out."""
    params = settings.training
    network = HashNetwork(config).to(device).train()
    loss_of = HeadLoss(settings.loss, None, network.classifier)
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.lr)
    precision = choose_precision(params.mixed_precision, device)
    scaler = torch.amp.GradScaler(device.type, enabled=precision.scaled)
    loader = DataLoader(
        FeatureDataset(features),
        batch_size=params.batch_size,
        shuffle=True,
        num_workers=workers,
        pin_memory=device.type == "cuda",
        drop_last=True,
    )
    total, done, start = 0.0, 0, 0.0
    for number, batch in enumerate(loader, start=1):
        v_img, v_txt, labels = (part.to(device, non_blocking=True) for part in batch)
        with precision.autocast():
            output = network(v_img, v_txt)
        loss = loss_of(output, labels).total / params.accumulation_steps
        torch.autograd.backward(scaler.scale(loss))
        total += loss.item() * params.accumulation_steps
        if number % params.accumulation_steps:
            continue
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(network.parameters(), params.gradient_clip_norm)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        done += 1
        if done == 1:
            start = time.perf_counter()
        if done == updates:
            break
    return (time.perf_counter() - start) / (updates - 1)
