"""The repository's parameters, read once for all tests."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from siglip2_multimodal_hash.params import Params, parse_params, read_yaml
from siglip2_multimodal_hash.presets import replace_values

PARAMS_FILE = Path(__file__).resolve().parents[1] / "params.yaml"
RAW: dict[str, Any] = read_yaml(PARAMS_FILE)
PARAMS = parse_params(RAW)


def params_with(overrides: Mapping[str, Any], at_most: Mapping[str, int] | None = None) -> Params:
    """The parameters with other values by dotted key, no larger than ``at_most``."""
    document = copy.deepcopy(RAW)
    replace_values(document, overrides, source="params.yaml", at_most=at_most)
    return parse_params(document)
