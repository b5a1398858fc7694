"""The updates of an epoch: pairs through both towers and the head, and back."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import islice

import torch

from siglip2_multimodal_hash.datasets.images import ImageSource
from siglip2_multimodal_hash.device import Precision
from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.models.losses import HeadLoss
from siglip2_multimodal_hash.models.network import HashNetwork
from siglip2_multimodal_hash.training.seeding import epoch_seed
from siglip2_multimodal_hash.training.trace import Losses, LossTrace
from siglip2_multimodal_hash.training.tuning.data import Epoch, PairBatch, Split, pair_batches
from siglip2_multimodal_hash.training.tuning.encoding import TowerEncoder
from siglip2_multimodal_hash.training.tuning.settings import TuneSettings

ReportUpdate = Callable[[int, Mapping[str, float]], None]


@dataclass(frozen=True, eq=False)
class TowerTrainer:
    """Everything that an epoch of updates works on.

    Args:
        total_updates: Of the whole run.
        share_of_peak: Of the learning rates, at an update counted from 0 over the whole run.
        peak_lrs: Of the optimizer's groups: the towers, the head, and what the loss learns.
    """

    encoder: TowerEncoder
    network: HashNetwork
    loss: HeadLoss
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    precision: Precision
    settings: TuneSettings
    total_updates: int
    share_of_peak: Callable[[int], float]
    peak_lrs: tuple[float, ...]

    def run(
        self,
        epoch: int,
        updates_before: int,
        source: ImageSource,
        split: Split,
        report: ReportUpdate,
    ) -> Losses:
        """Train for one epoch.

        Args:
            epoch: Counted from 1.
            updates_before: Updates of the epochs before.
            source: Source of the images.
            split: The training split.
            report: Called with the updates done in this epoch and the mean losses since the last
                report, every ``runtime.logging.log_every_n_steps`` updates.

        Returns:
            Mean of each part of the loss over the samples of the epoch.

        Raises:
            InputError: A loss is NaN or infinite.
            DataError: Images cannot be read.
        """
        tune, logging = self.settings.tune, self.settings.runtime.logging
        seed = epoch_seed(self.settings.seed, epoch)
        torch.manual_seed(seed)  # dropout
        towers = self.encoder.towers
        towers.model.train()  # or checkpointing has no effect
        self.network.train()
        batches = pair_batches(
            source,
            Epoch.draw(split, seed),
            towers,
            tune.batch_size,
            self.settings.runtime.dataloader.num_workers,
        )
        trace, reported = LossTrace(), 0
        with closing(batches):
            for done, group in enumerate(_groups(batches, tune.accumulation_steps), start=1):
                update = updates_before + done
                self._set_learning_rates(self.share_of_peak(update - 1))
                progress = (update - 1) / self.total_updates
                self._accumulate(group, trace, f"epoch {epoch}, update {done}", progress)
                self._step()
                if update % logging.log_every_n_steps == 0:
                    report(done, trace.means(reported))
                    reported = len(trace)
        return trace.means()

    def _set_learning_rates(self, share: float) -> None:
        for group, peak in zip(self.optimizer.param_groups, self.peak_lrs, strict=True):
            group["lr"] = share * peak

    def _accumulate(
        self, group: list[PairBatch], trace: LossTrace, place: str, progress: float
    ) -> None:
        """Add up the gradient of the mean loss over the samples of an update."""
        size = sum(len(batch.labels) for batch in group)
        for batch in group:
            v_img, v_txt = self.encoder.pair(batch, self.network)
            with self.precision.autocast():
                output = self.network(v_img, v_txt)
            labels = batch.labels.to(self.encoder.towers.device)
            parts = self.loss(output, labels, progress=progress)
            if not bool(parts.total.isfinite()):
                raise self._diverged(place)
            share = parts.total * (len(labels) / size)
            torch.autograd.backward(self.scaler.scale(share))
            trace.add(parts.present(), len(labels), place)

    def _step(self) -> None:
        self.scaler.unscale_(self.optimizer)
        weights = [v for group in self.optimizer.param_groups for v in group["params"]]
        torch.nn.utils.clip_grad_norm_(weights, self.settings.gradient_clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()

    def _diverged(self, place: str) -> InputError:
        settings = self.settings
        remedy = f"lower {settings.lr_name} (now {settings.peak_lr:g})"
        if self.precision.dtype is not None:
            remedy += f", or set training.mixed_precision (now {settings.mixed_precision}) to off"
        return InputError(
            f"{place}: the loss is NaN or infinite: the tuning of the towers has diverged", remedy
        )


def _groups(batches: Iterator[PairBatch], size: int) -> Iterator[list[PairBatch]]:
    while group := list(islice(batches, size)):
        yield group
