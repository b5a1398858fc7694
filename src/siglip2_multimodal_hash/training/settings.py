"""Parameters of a fit, by sections of params.yaml."""

from dataclasses import dataclass
from typing import Self

from siglip2_multimodal_hash.models.initialisation import FitStart
from siglip2_multimodal_hash.params import (
    CaptionPolicy,
    KnnParams,
    LossParams,
    Params,
    RuntimeParams,
    SchedulerParams,
    TrainingParams,
)


@dataclass(frozen=True)
class AdamSettings:
    """The parameters of AdamW but for its rates."""

    weight_decay: float
    betas: tuple[float, float]
    eps: float

    @classmethod
    def of_optimizer(cls, params: Params) -> Self:
        """Take them out of a section whose rate is not everybody's."""
        return cls(params.optimizer.weight_decay, params.optimizer.betas, params.optimizer.eps)


@dataclass(frozen=True)
class FitSettings:
    """Parameters of a fit; the head's own are in ``HeadConfig``.

    Attributes:
        start: Of the head's weights.
        loss: As the section of params.yaml, like those below that are called ``...Params``.
        training: Epochs, batches and when to stop.
        lr: The peak of the learning rate.
        lr_name: The parameter behind ``lr``, for messages.
        adam: The rest of AdamW.
        scheduler: Warm-up and decay of the rate.
        seed: Of the start, the batches and dropout.
        runtime: Changes no result.
        eval_caption: The caption of a training image when the vote is monitored.
        vote: The vote that ``training.monitor`` follows; None where it follows the classifier.
    """

    start: FitStart
    loss: LossParams
    training: TrainingParams
    lr: float
    lr_name: str
    adam: AdamSettings
    scheduler: SchedulerParams
    seed: int
    runtime: RuntimeParams
    eval_caption: CaptionPolicy = "first"
    vote: KnnParams | None = None

    def __post_init__(self) -> None:
        if self.vote is None and self.training.follows_vote:
            raise ValueError(f"training.monitor = {self.training.monitor} needs the vote")

    @classmethod
    def from_params(cls, params: Params, vote: KnnParams | None = None) -> Self:
        """Take the sections out of the whole.

        Args:
            params: The whole.
            vote: See :func:`.monitor.read_vote`: the section ``knn`` is none of a fit's own, so
                that a change of it fits nothing anew.
        """
        return cls(
            start=FitStart.from_params(params),
            eval_caption=params.dataset.eval_caption,
            vote=vote,
            loss=params.loss,
            training=params.training,
            lr=params.optimizer.lr,
            lr_name="optimizer.lr",
            adam=AdamSettings.of_optimizer(params),
            scheduler=params.scheduler,
            seed=params.seed,
            runtime=params.runtime,
        )

    @classmethod
    def of_classifier(cls, params: Params) -> Self:
        """Take what a classifier without a code follows.

        The terms of ``loss`` on codes and directions have nothing to work on there, so they are
        neither read nor, by a stage that fits nothing else, declared. Its rate is its own: that of
        a head with bits is too much for it, and a baseline is to be as good as it can be. So it
        starts well whatever the head does, and as it has no vote, its own mAP stands for one.
        """
        loss = LossParams(
            objective="plan",
            bce_weight=params.loss.bce_weight,
            alignment="cosine",
            cosine_weight=0.0,
            temperature=1.0,
            learn_temperature=False,
            hash_weight=0.0,
            lambda_balance=0.0,
            lambda_decorr=0.0,
            code_weight=0.0,
            pairwise_soft=0.0,
            continuation_beta=1.0,
            imbalance=params.loss.imbalance,
            focal_alpha=params.loss.focal_alpha,
            focal_gamma=params.loss.focal_gamma,
            asymmetric_gamma_pos=params.loss.asymmetric_gamma_pos,
            asymmetric_gamma_neg=params.loss.asymmetric_gamma_neg,
            asymmetric_clip=params.loss.asymmetric_clip,
        )
        training = params.training
        if training.follows_vote:
            training = training.model_copy(update={"monitor": "mlp"})
        return cls(
            start=FitStart(),
            loss=loss,
            training=training,
            lr=params.baselines.mlp_lr,
            lr_name="baselines.mlp_lr",
            adam=AdamSettings.of_optimizer(params),
            scheduler=params.scheduler,
            seed=params.seed,
            runtime=params.runtime,
        )
