"""What all sections of ``params.yaml`` share."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A group of parameters: unknown keys refused, types strict, immutable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
