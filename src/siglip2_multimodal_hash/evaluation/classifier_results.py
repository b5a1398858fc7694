"""Results of classifiers without a code: the files that the report and the comparison read."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.files import replacing, write_json

if TYPE_CHECKING:
    from siglip2_multimodal_hash.evaluation.protocol import Figures


@dataclass(frozen=True, eq=False)
class ClassifierResults:
    """Figures of classifiers, and their scores for each image of test.

    Attributes:
        figures: By classifier, with its ``modality``.
        scores: Likewise, float32 [T, C].
    """

    figures: dict[str, "Figures"] = field(default_factory=dict)
    scores: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write ``figures.json`` and a ``test-NAME.npy`` for each classifier: all or none."""
        with replacing(folder) as temporary:
            temporary.mkdir()
            write_json(temporary / "figures.json", self.figures)
            for name, scores in self.scores.items():
                np.save(temporary / f"test-{name}.npy", scores, allow_pickle=False)

    def __or__(self, other: Self) -> "ClassifierResults":
        """The classifiers of both."""
        return ClassifierResults(self.figures | other.figures, self.scores | other.scores)
