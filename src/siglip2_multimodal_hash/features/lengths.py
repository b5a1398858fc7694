"""Lengths of embeddings from which a head can learn nothing: the one place that judges them."""

import logging
from dataclasses import dataclass

from siglip2_multimodal_hash.errors import DataError

logger = logging.getLogger(__name__)

LONGEST = 1e18
"""A length is a sum of squares in float32, which ends at 3.4e38."""
UNIT_TOLERANCE = 1e-3
_RESCALE = (
    "multiply these features by one number, so that their lengths are about 1 (directions stay as "
    "they are), and import them again"
)


@dataclass(frozen=True)
class Lengths:
    """The shortest and the longest row of a matrix of embeddings."""

    least: float
    most: float

    @property
    def unit(self) -> bool:
        """True if every row is of unit length."""
        return self.least >= 1 - UNIT_TOLERANCE and self.most <= 1 + UNIT_TOLERANCE

    @property
    def constant(self) -> bool:
        """True if all rows are about equally long, so that magnitude carries no information."""
        return self.unit or self.most <= (1 + UNIT_TOLERANCE) * self.least


def require_computable(name: str, lengths: Lengths) -> None:
    """Refuse rows whose length cannot be computed.

    Args:
        name: Of the embeddings, such as a file.
        lengths: Of them.

    Raises:
        DataError: The longest is beyond :data:`LONGEST`.
    """
    if not lengths.most <= LONGEST:
        raise DataError(
            f"{name}: a row is {lengths.most:.3g} long, and the squares of lengths beyond "
            f"{LONGEST:g} overflow float32",
            _RESCALE,
        )


def warn_of_lengths(
    name: str, lengths: Lengths, *, eps: float | None = None, magnitude: bool = True
) -> None:
    """Warn of directions that vanish, and of magnitudes that are all the same.

    Args:
        name: Of the embeddings.
        lengths: Of them.
        eps: ``decomposer.eps``, where it is known.
        magnitude: Whether the magnitudes are looked at.
    """
    if eps is not None and lengths.most <= eps:
        logger.warning(
            "%s: no row is longer than %.3g, and decomposer.eps = %g is added to each length: the "
            "directions vanish, and the codes will carry no information; %s",
            name, lengths.most, eps, _RESCALE,
        )  # fmt: skip
    elif magnitude and lengths.constant:
        logger.warning(
            "%s: every row has length %.6g to %.6g%s, so their magnitude is a constant without "
            "information: set fusion.type to hadamard or concat to leave it out, or import the "
            "features as they were before normalisation",
            name, lengths.least, lengths.most, " (normalised)" if lengths.unit else "",
        )  # fmt: skip
