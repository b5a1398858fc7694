"""One epoch of updates."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from siglip2_multimodal_hash.device import Precision
from siglip2_multimodal_hash.models.losses import HeadLoss
from siglip2_multimodal_hash.models.network import HashNetwork, HeadOutput
from siglip2_multimodal_hash.training.batches import Run, group_batches
from siglip2_multimodal_hash.training.data import TrainingData
from siglip2_multimodal_hash.training.norms import parameter_norms
from siglip2_multimodal_hash.training.seeding import epoch_seed
from siglip2_multimodal_hash.training.settings import FitSettings
from siglip2_multimodal_hash.training.trace import Losses, LossTrace

ReportUpdate = Callable[[int, Mapping[str, float]], None]


@dataclass(frozen=True)
class EpochTrainer:
    """Everything that an epoch of updates works on.

    Args:
        epochs: Those of the whole run.
        learning_rate: Rate of an update, counted from 0 over the whole run.
        after_update: Called after each update, counted from 1 over the whole run.
    """

    network: HashNetwork
    loss: HeadLoss
    data: TrainingData
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    precision: Precision
    settings: FitSettings
    epochs: int
    learning_rate: Callable[[int], float]
    after_update: Callable[[int], None]

    def run(self, epoch: int, updates_before: int, report: ReportUpdate) -> Losses:
        """Train for one epoch.

        Args:
            epoch: Counted from 1.
            updates_before: Updates of the epochs before.
            report: Called with the updates done in this epoch, the mean losses since the last
                report and, with ``runtime.logging.log_gradients``, :func:`.parameter_norms`; every
                ``runtime.logging.log_every_n_steps`` updates.

        Returns:
            Mean of each part of the loss over the samples of the epoch.

        Raises:
            InputError: A loss or a gradient is NaN or infinite; see :meth:`.LossTrace.check`.
        """
        logs = self.settings.runtime.logging
        seed = epoch_seed(self.settings.seed, epoch)
        torch.manual_seed(seed)  # dropout
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(self.data), generator=generator)
        # Drawn on the CPU, so that the same are drawn whatever the device.
        device = self.data.v_img.device
        captions = self.data.draw_captions(generator).to(device)
        groups = group_batches(order.to(device), self.settings.training)

        self.network.train()
        trace, reported = LossTrace(), 0
        for done, group in enumerate(groups, start=1):
            update = updates_before + done
            self._set_learning_rate(self.learning_rate(update - 1))
            progress = (update - 1) / (len(groups) * self.epochs)
            place = f"epoch {epoch}, update {done}"
            self._accumulate(group, captions, trace, place, progress)
            due = update % logs.log_every_n_steps == 0
            trace.close_update(self._clip())
            norms = parameter_norms(self.network) if due and logs.log_gradients else {}
            self._step()
            self.after_update(update)
            if due:
                trace.check(self.settings, self.scaler)
                figures = {**trace.means(reported), "lr": self.learning_rate(update - 1)}
                reported = len(trace)
                report(done, figures | norms)
        trace.check(self.settings, self.scaler, whole=True)
        return trace.means()

    def _set_learning_rate(self, rate: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def _accumulate(
        self, group: list[Run], captions: Tensor, trace: LossTrace, place: str, progress: float
    ) -> None:
        """Add up the gradient of the mean loss over the samples of an update.

        The mean is over the samples that there are: an incomplete group is as strong as the others.
        """
        data, group_size = self.data, sum(len(run.rows) for run in group)
        for rows, batches in group:
            v_img, v_txt, labels = data.batch(rows, captions.index_select(0, rows))
            with self.precision.autocast():
                output: HeadOutput = self.network(v_img, v_txt)
            parts = self.loss(output, labels, batches, progress)
            share = parts.total * (len(rows) / group_size)
            torch.autograd.backward(self.scaler.scale(share))
            trace.add(parts.present(), len(rows), place)

    def _clip(self) -> Tensor:
        """Clip the gradient, and return what its norm was before."""
        self.scaler.unscale_(self.optimizer)
        weights = [v for group in self.optimizer.param_groups for v in group["params"]]
        return torch.nn.utils.clip_grad_norm_(weights, self.settings.training.gradient_clip_norm)

    def _step(self) -> None:
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
