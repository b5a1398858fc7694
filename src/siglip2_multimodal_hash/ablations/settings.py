"""Parameters of an experiment: those of ``params.yaml`` with overrides, checked."""

import copy
import difflib
from collections.abc import Mapping
from typing import Any

from siglip2_multimodal_hash.errors import ParamsError
from siglip2_multimodal_hash.params import PARAMS_FILE, parse_params
from siglip2_multimodal_hash.reporting.experiments import flatten
from siglip2_multimodal_hash.reporting.sides import WITHOUT_EFFECT

Nested = Mapping[str, Any]


def override(base: Nested, overrides: Nested, *, source: str) -> dict[str, Any]:
    """The parameters with some leaves replaced, checked as a whole.

    Args:
        base: Those of params.yaml, nested.
        overrides: Values by dotted key.
        source: Whose overrides they are, for messages.

    Raises:
        ParamsError: A key is unknown or a section, or params.yaml's rules refuse the result.
    """
    known = flatten(base)
    changed = copy.deepcopy(dict(base))
    for key, value in overrides.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean `{near[0]}`? " if near else ""
            raise ParamsError(f"{source}: {key}: unknown key", f"{hint}{PARAMS_FILE} lists them")
        *parents, leaf = key.split(".")
        section = changed
        for parent in parents:
            section = section[parent]
        section[leaf] = value
    parse_params(changed, source=source)
    return changed


def changes(base: Nested, overrides: Nested) -> dict[str, Any]:
    """The overrides whose value is not the one that is there."""
    known = flatten(base)
    return {
        key: value for key, value in overrides.items() if key not in known or known[key] != value
    }


def same_result(a: Nested, b: Nested) -> bool:
    """Whether two sets of parameters can differ in how the work is done only."""
    return not differing_keys(a, b)


def differing_keys(a: Nested, b: Nested) -> list[str]:
    """The full names of the leaves that differ and can change a result."""
    first, second = flatten(a), flatten(b)
    return [
        key
        for key in dict.fromkeys((*first, *second))
        if not key.startswith(WITHOUT_EFFECT)
        and (key not in first or key not in second or first[key] != second[key])
    ]
