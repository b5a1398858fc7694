"""How far a fit has come, apart from the tensors of its network and optimiser."""

from dataclasses import dataclass, field
from typing import Any, Self

from torch import Tensor

from siglip2_multimodal_hash.models.network import HashNetwork
from siglip2_multimodal_hash.training.checkpoint import EpochRecord


@dataclass
class BestEpoch:
    """The best weights so far, and for how many validations they have been that."""

    epoch: int = 0
    val_map: float = -1.0
    weights: dict[str, Tensor] = field(default_factory=dict)
    validations_since: int = 0

    def offer(self, epoch: int, val_map: float, network: HashNetwork) -> None:
        """Take the network's weights over if they are better."""
        self.validations_since += 1
        if val_map > self.val_map:
            self.epoch, self.val_map, self.validations_since = epoch, val_map, 0
            self.weights = {name: v.detach().clone() for name, v in network.state_dict().items()}


@dataclass
class FitState:
    """Epochs done, one record of each, and the best of them.

    No state of a random generator is in here: an epoch draws its order, captions and dropout from
    (seed, epoch) alone, see :func:`.seeding.epoch_seed`. So does the learning rate of an update
    follow from its number.
    """

    epoch: int = 0
    history: list[EpochRecord] = field(default_factory=list)
    best: BestEpoch = field(default_factory=BestEpoch)

    def to_json(self) -> dict[str, Any]:
        """All but the weights."""
        best = self.best
        return {
            "epoch": self.epoch,
            "history": self.history,
            "best_epoch": best.epoch,
            "best_val_mAP": best.val_map,
            "validations_since": best.validations_since,
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        """The way back from :meth:`to_json`, without the weights.

        Raises:
            KeyError, TypeError, ValueError: It is not that.
        """
        best = BestEpoch(
            epoch=int(stored["best_epoch"]),
            val_map=float(stored["best_val_mAP"]),
            validations_since=int(stored["validations_since"]),
        )
        state = cls(int(stored["epoch"]), list(stored["history"]), best)
        if state.epoch < 1 or len(state.history) != state.epoch:
            raise ValueError(f"{state.epoch} epochs and {len(state.history)} records of them")
        return state
