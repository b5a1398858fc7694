"""The base of all sections of ``params.yaml``, kinds, and types of single parameters."""

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

Adapter = Literal["none", "linear", "residual"]
AmpDtype = Literal["float32", "bfloat16", "float16"]
Bits = Literal[0, 16, 32, 64, 128]
CaptionPolicy = Literal["first", "mean"]
DatasetKind = Literal["mojicoco", "coco2014", "folder", "coco_json"]
Decay = Literal["cosine", "linear", "constant"]
DeviceName = Literal["auto", "cpu", "cuda"]
Monitor = Literal["mlp", "knn", "hybrid", "f1_macro", "f1_micro"]
PrecisionName = Literal["auto", "off", "float16", "bfloat16"]
SplitProtocol = Literal["karpathy", "standard", "hashnet", "own"]
StoreDtype = Literal["float32", "float16"]
Tuning = Literal["frozen", "lora", "full"]
Unlabelled = Literal["keep", "drop"]


class Section(BaseModel):
    """A group of parameters: unknown keys refused, types strict, immutable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def not_empty(entries: tuple[Any, ...]) -> tuple[Any, ...]:
    """Refuse a list without any entry."""
    # `min_length` would count the entries that are valid, and so complain twice about a bad one.
    if not entries:
        raise PydanticCustomError("too_short", "Must have at least one entry")
    return entries


def _whole_bits(value: Any) -> Any:
    # Literal compares by ==, to which False is 0 and 64.0 is 64.
    if type(value) is not int:
        allowed = ", ".join(map(str, get_args(Bits)))
        raise PydanticCustomError("int_type", "Must be one of {allowed}", {"allowed": allowed})
    return value


def _address(value: str) -> str:
    if value.startswith(("http://", "https://", "file:///")) or Path(value).is_absolute():
        return value
    # A queued experiment runs in a copy of the repository: a relative path would lead elsewhere.
    raise PydanticCustomError(
        "address", "Must start with http://, https:// or file:///, or be an absolute path"
    )


def _host_and_port(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not value or (host and "/" not in host and port.isdecimal() and 0 < int(port) < 65536):
        return value
    raise PydanticCustomError("host_and_port", 'Must be HOST:PORT, or "" for Ray on this machine')


def _temperature(value: float) -> float:
    if value < LOWEST_TEMPERATURE:
        raise PydanticCustomError(
            "temperature",
            "Must be at least {lowest}: cosines are divided by it, and beyond that their gradients "
            "overflow (float16 ends at 65,504)",
            {"lowest": f"{LOWEST_TEMPERATURE:g}"},
        )
    return value


# CLIP bounds a learned temperature by 0.01.
LOWEST_TEMPERATURE = 1e-4
PositiveInt = Annotated[int, Field(ge=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegativeFloat = Annotated[float, Field(ge=0, allow_inf_nan=False)]
UnitFloat = Annotated[float, Field(ge=0, le=1)]
OpenUnitFloat = Annotated[float, Field(gt=0, lt=1)]
# A decay rate of 1 never forgets: AdamW divides by 1 - beta. A clip of 1 leaves no negative.
DecayFloat = Annotated[float, Field(ge=0, lt=1)]
Temperature = Annotated[PositiveFloat, AfterValidator(_temperature)]
# YAML has lists only: strictness is about the members.
IntTuple = Annotated[tuple[PositiveInt, ...], Field(strict=False), AfterValidator(not_empty)]
StrTuple = Annotated[tuple[str, ...], Field(strict=False), AfterValidator(not_empty)]
Address = Annotated[str, AfterValidator(_address)]
# A name becomes a folder name.
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
WholeBits = Annotated[Bits, BeforeValidator(_whole_bits)]
HostAndPort = Annotated[str, AfterValidator(_host_and_port)]
