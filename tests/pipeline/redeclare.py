"""Bring the parameters and modules in the dvc.yaml files up to what the stages' sources say.

Run ``python -m tests.pipeline.redeclare`` after a change of imports or parameters; what else a
stage depends on stays as it is written.
"""

import re

from siglip2_multimodal_hash.params import Params
from tests.pipeline.declarations import DVC_FILES, leaves, modules_of, params_of

_STAGE = re.compile(r"^  (\w+):$", re.MULTILINE)
_MODULE = re.compile(r"^      - (?:src|stages)/\S+\n", re.MULTILINE)
_PARAMS = re.compile(r"^    params:\n(?:      - .*\n)+", re.MULTILINE)


def redeclared(text: str) -> str:
    """A dvc.yaml with the declarations of every stage derived anew."""
    head, *parts = _STAGE.split(text)
    return head + "".join(
        f"  {name}:{_stage(name, body)}" for name, body in zip(parts[::2], parts[1::2], strict=True)
    )


def _stage(name: str, body: str) -> str:
    read = params_of(name)
    order = [leaf for leaf in leaves(Params) if leaf in read]
    modules = "".join(f"      - {path}\n" for path in sorted(modules_of(name)))
    params = "".join(f"      - {leaf}\n" for leaf in order)
    body = _PARAMS.sub("", _MODULE.sub("", body))
    declared = modules + (f"    params:\n{params}" if params else "")
    return body.replace("    outs:\n", f"{declared}    outs:\n", 1)


if __name__ == "__main__":
    for file in DVC_FILES:
        file.write_text(redeclared(file.read_text(encoding="utf-8")), encoding="utf-8")
