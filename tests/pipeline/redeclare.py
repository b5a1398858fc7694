"""Bring the parameters in dvc.yaml up to what the stages' sources say.

Run ``python -m tests.pipeline.redeclare`` after a change of parameters; what else a stage declares
stays as it is written.
"""

import re

from siglip2_multimodal_hash.params import Params
from tests.pipeline.declarations import DVC_FILE, leaves, params_of

_STAGE = re.compile(r"^  (\w+):$", re.MULTILINE)
_PARAMS = re.compile(r"^    params:\n(?:      - .*\n)+", re.MULTILINE)


def redeclared(text: str) -> str:
    """A dvc.yaml with the parameters of every stage derived anew."""
    head, *parts = _STAGE.split(text)
    return head + "".join(
        f"  {name}:{_stage(name, body)}" for name, body in zip(parts[::2], parts[1::2], strict=True)
    )


def _stage(name: str, body: str) -> str:
    if "    foreach:" in body:
        return body
    read = params_of(name)
    params = "".join(f"      - {leaf}\n" for leaf in leaves(Params) if leaf in read)
    declared = f"    params:\n{params}" if params else ""
    return _PARAMS.sub("", body).replace("    outs:\n", f"{declared}    outs:\n", 1)


if __name__ == "__main__":
    DVC_FILE.write_text(redeclared(DVC_FILE.read_text(encoding="utf-8")), encoding="utf-8")
