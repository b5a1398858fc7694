"""Which stages of dvc.yaml an experiment runs."""

from collections.abc import Iterator, Mapping
from typing import Any

# The last stage that Git keeps something of. `report` behind it makes a page of one run, which no
# table reads.
TARGET = "summarise"


def stages_run(stages: Mapping[str, Any]) -> set[str]:
    """Names of :data:`TARGET` and of all the stages that it needs, as ``dvc exp run`` finds them.

    A stage needs another where it depends on one of its outputs, or on something within it. Paths
    are compared as they are written, before templates are filled in.

    Args:
        stages: The section of that name of a dvc.yaml, parsed.

    Returns:
        All names where ``TARGET`` is not among them: a pipeline of another make.
    """
    if TARGET not in stages:
        return set(stages)
    makers = {path: name for name, stage in stages.items() for path in _paths(stage, "outs")}
    found: set[str] = set()
    todo = [TARGET]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += [
                maker
                for dependency in _paths(stages[name], "deps")
                for path, maker in makers.items()
                if dependency == path or dependency.startswith(f"{path}/")
            ]
    return found


def _paths(stage: Mapping[str, Any], key: str) -> Iterator[str]:
    """Entries are paths, or mappings with a path as their key."""
    for entry in stage.get(key, ()):
        yield from entry if isinstance(entry, Mapping) else (entry,)
