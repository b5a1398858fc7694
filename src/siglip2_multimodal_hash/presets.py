"""Presets: named groups of overrides that are written into ``params.yaml``, comments kept."""

import contextlib
import difflib
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from siglip2_multimodal_hash.errors import ParamsError, did_you_mean
from siglip2_multimodal_hash.files import require_free, write_text
from siglip2_multimodal_hash.params import (
    OWN_KINDS,
    PARAMS_FILE,
    Params,
    flatten,
    parse_params,
    watched_inputs,
)

WATCH = "runtime.watch"
PROTOCOL = "dataset.protocol"
PRESET_FOLDER = Path("configs/presets")

_KINDS = {
    "dataset.kind": "dataset",
    "backbone.checkpoint": "backbone",
    "runtime.device": "hardware",
    "loss.objective": "profile",
}
"""Kinds of presets, by the key that only presets of that kind set."""


@dataclass(frozen=True)
class Preset:
    """One file of ``configs/presets``.

    Presets of one kind set the same keys, so that each undoes another; presets of different kinds
    set none in common, so that they combine.

    Attributes:
        name: Of the file.
        description: Its purpose.
        overrides: The values it sets, by dotted key.
        at_most: Limits, by dotted key: a larger value is lowered to it, a smaller one stays.
    """

    name: str
    description: str
    overrides: dict[str, Any]
    at_most: dict[str, int] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """``dataset``, ``backbone``, ``hardware``, ``profile`` or ``other``."""
        return next((kind for key, kind in _KINDS.items() if key in self.overrides), "other")


def list_presets(folder: Path = PRESET_FOLDER) -> list[Preset]:
    """All presets, by name."""
    return [load_preset(name, folder) for name in _names(folder)]


def load_preset(name: str, folder: Path = PRESET_FOLDER) -> Preset:
    """Read one preset.

    Raises:
        ParamsError: There is no such preset, or its file is not in the form of one.
    """
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = _names(folder)
        remedy = f"{did_you_mean(name, known)} known presets: {', '.join(known)}".lstrip()
        if not known:
            remedy = "run from the root of the project"
        raise ParamsError(f"preset {name!r}: unknown", remedy)
    try:
        # Numbers keep their spelling, in which they are written: 3.0e-3 stays that.
        content = YAML().load(path.read_text(encoding="utf-8"))
        limits = {key: int(limit) for key, limit in dict(content.get("at_most", {})).items()}
        overrides = {
            key: list(value) if isinstance(value, list) else value
            for key, value in dict(content["overrides"]).items()
        }
        return Preset(name, str(content["description"]), overrides, limits)
    except (YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ParamsError(
            f"{path}: needs the keys `description` and `overrides` ({error!r})"
        ) from None


def merge_presets(presets: Iterable[Preset]) -> dict[str, Any]:
    """The overrides of several presets together.

    Raises:
        ParamsError: Two presets set one key to different values.
    """
    merged: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for preset in presets:
        for key, value in preset.overrides.items():
            if key in merged and merged[key] != value:
                raise ParamsError(
                    f"{key}: preset {origin[key]!r} has {merged[key]!r} and preset "
                    f"{preset.name!r} has {value!r}",
                    "use one of the two",
                )
            merged[key], origin[key] = value, preset.name
    return merged


def merge_limits(presets: Iterable[Preset]) -> dict[str, int]:
    """The ``at_most`` of several presets together: the lowest limit of each key."""
    merged: dict[str, int] = {}
    for preset in presets:
        for key, limit in preset.at_most.items():
            merged[key] = min(limit, merged.get(key, limit))
    return merged


def parse_assignment(text: str) -> tuple[str, Any]:
    """``key=value`` as a dotted key and a YAML value.

    Raises:
        ParamsError: There is no ``=``, or the value is not YAML.
    """
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ParamsError(f"{text!r}: must have the form key=value, such as hash.bits=128")
    try:
        return key, YAML(typ="safe", pure=True).load(value)
    except YAMLError:
        raise ParamsError(f"{text!r}: the value is not valid YAML") from None


def override_text(
    text: str,
    overrides: dict[str, Any],
    *,
    source: str,
    at_most: Mapping[str, int] | None = None,
) -> str:
    """``params.yaml`` with some values replaced, byte for byte as DVC's own writer does it.

    ``runtime.watch`` follows the dataset and the checkpoint, ``dataset.protocol`` whether the
    dataset has a split of its own.

    Args:
        text: The file's content.
        overrides: Values by dotted key; each key must exist.
        source: Name of the file, for messages.
        at_most: Limits by dotted key, applied after the values.

    Raises:
        ParamsError: ``text`` is not YAML, a key is unknown or names a whole section, or the result
            breaks a rule of :mod:`.params`.
    """
    yaml = YAML()
    yaml.default_flow_style = False
    try:
        document = yaml.load(text)
    except YAMLError as error:
        raise ParamsError(f"{source}: not valid YAML: {error}") from None
    replace_values(document, overrides, source=source, at_most=at_most)
    parse_params(YAML(typ="safe", pure=True).load(_dump(yaml, document)), source=source)
    return _dump(yaml, document)


def replace_values(
    document: Any,
    overrides: Mapping[str, Any],
    *,
    source: str,
    at_most: Mapping[str, int] | None = None,
) -> None:
    """Replace values of nested parameters in place, unchecked; see :func:`override_text`.

    Raises:
        ParamsError: A key is unknown or names a whole section.
    """
    for key, value in overrides.items():
        section, leaf = _place(document, key, value, source)
        _set(section, leaf, value)
    _follow(document, overrides)
    for key, limit in (at_most or {}).items():
        section, leaf = _place(document, key, limit, source)
        # Anything but a number is left to the check of the whole.
        if isinstance(section[leaf], int) and section[leaf] > limit:
            section[leaf] = limit


def apply_overrides(
    path: Path,
    overrides: dict[str, Any],
    at_most: Mapping[str, int] | None = None,
    check: Callable[[Params], object] | None = None,
) -> str:
    """Write overrides and limits into ``params.yaml`` and return the change as a unified diff.

    Args:
        path: The file.
        overrides: Values by dotted key.
        at_most: Limits by dotted key.
        check: Refuses the parameters before they are written, by an error of its own.

    Raises:
        ParamsError: The file is missing, or see :func:`override_text`; then it is left as it was.
        InputError: It is a link or read-only.
    """
    try:
        # Not as text, which would lose the line ends.
        before = path.read_bytes().decode()
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file", "run from the root of the project") from None
    require_free(path)
    windows = 2 * before.count("\r\n") > before.count("\n")
    before = before.replace("\r\n", "\n")
    after = override_text(before, overrides, source=str(path), at_most=at_most)
    if check is not None:
        check(parse_params(YAML(typ="safe", pure=True).load(after), source=str(path)))
    if after != before:
        write_text(path, after.replace("\n", "\r\n") if windows else after)
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), f"{path} (before)", f"{path} (after)",
        n=0, lineterm="",
    )  # fmt: skip
    return "\n".join(lines)


def _names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.yaml"))


def _place(document: Any, key: str, value: Any, source: str) -> tuple[Any, str]:
    """The section that holds a dotted key, and the key's last part.

    Raises:
        ParamsError: There is no such key, or it names a section.
    """
    *parents, leaf = key.split(".")
    section: Any = document
    for parent in parents:
        section = section.get(parent) if isinstance(section, dict) else None
    if not isinstance(section, dict) or leaf not in section:
        known = flatten(document) if isinstance(document, dict) else ()
        raise ParamsError(
            f"{source}: {key} = {value!r}: unknown key",
            f"{did_you_mean(key, known)} {PARAMS_FILE} lists every key".lstrip(),
        )
    if isinstance(section[leaf], dict):
        # Its comments would go with it.
        raise ParamsError(
            f"{source}: {key} = {value!r}: a section, not a parameter",
            f"set its keys: {key}.KEY=VALUE",
        )
    return section, leaf


def _set(section: Any, leaf: str, value: Any) -> None:
    """Replace a value; an equal one keeps its spelling: 1.0e-3 does not become 0.001."""
    if not (isinstance(section[leaf], type(value)) and section[leaf] == value):
        section[leaf] = value


def _follow(document: Any, overrides: Mapping[str, Any]) -> None:
    """Set what follows from the rest, unless by hand: ``runtime.watch``, the protocol of own data.

    What is wrong with the rest is left to the check of the whole.
    """
    with contextlib.suppress(KeyError, TypeError):
        dataset = document["dataset"]
        own = dataset["kind"] in OWN_KINDS
        if PROTOCOL not in overrides and own != (dataset["protocol"] == "own"):
            _set(dataset, "protocol", "own" if own else "karpathy")
        now = watched_inputs(dataset["kind"], dataset["name"], document["backbone"]["checkpoint"])
        if WATCH not in overrides:
            _set(document["runtime"], "watch", now)


def _dump(yaml: YAML, document: Any) -> str:
    stream = io.StringIO()
    yaml.dump(document, stream)
    return stream.getvalue()
