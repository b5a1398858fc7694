"""The sections of params.yaml that a fit follows."""

from dataclasses import dataclass
from typing import Self

from siglip2_multimodal_hash.params import (
    LossParams,
    OptimizerParams,
    Params,
    RuntimeParams,
    SchedulerParams,
    TrainingParams,
)


@dataclass(frozen=True)
class FitSettings:
    """How to fit; what is fitted is the ``HeadConfig``'s matter."""

    loss: LossParams
    training: TrainingParams
    optimizer: OptimizerParams
    scheduler: SchedulerParams
    seed: int
    runtime: RuntimeParams

    @classmethod
    def from_params(cls, params: Params) -> Self:
        """Take the sections out of the whole."""
        return cls(
            loss=params.loss,
            training=params.training,
            optimizer=params.optimizer,
            scheduler=params.scheduler,
            seed=params.seed,
            runtime=params.runtime,
        )
