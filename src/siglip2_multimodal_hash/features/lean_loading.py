"""Loading towers in half the time, for a process that does nothing with them but infer.

With its first model, transformers imports what only compiling, distributed or training processes
use: TorchDynamo, distributed tensors, accelerate, SciPy's optimisers. That is
half of what loading the tiny towers costs. While they load, these look absent, in the ways in which
they may be: transformers asks whether a package is there before it imports it, and of TorchDynamo
it needs, at import, only decorators. The loader, the model's code and its weights are the same.
transformers also reads the sources of all its models twice, because it means to remember more of
them than its cache holds; here the cache holds them.

transformers remembers what it found, so such a process must not tune, distribute or compile.
"""

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch

from siglip2_multimodal_hash.features.spec import TowerSpec

if TYPE_CHECKING:
    from siglip2_multimodal_hash.features.towers import Towers

_LIBRARY = "transformers"
_LOADER = "siglip2_multimodal_hash.features.towers"
_COMPILER = "torch._dynamo"
_UNUSED = ("accelerate", "scipy", "sklearn")
# TorchDynamo itself, and what of it transformers imports by name.
_COMPILER_PARTS = (_COMPILER, f"{_COMPILER}._trace_wrapped_higher_order_op")


def load_towers_leanly(backbone: TowerSpec, device: torch.device) -> "Towers":
    """:func:`.towers.load_towers`, without the imports that an inference never uses.

    Where transformers is imported already there is nothing to save, and where a release of it
    cannot do without them, the towers are loaded in the ordinary way.

    Raises:
        InputError: See :func:`.towers.load_towers`.
    """
    if _LIBRARY not in sys.modules and _COMPILER not in sys.modules:
        before = set(sys.modules)
        try:
            with _lean_imports():
                return _load(backbone, device)
        # Whatever it stumbles on, the ordinary way tells whether the checkpoint is at fault.
        except Exception:
            for name in sys.modules.keys() - before:
                if name == _LOADER or name.partition(".")[0] == _LIBRARY:
                    del sys.modules[name]
    return _load(backbone, device)


def _load(backbone: TowerSpec, device: torch.device) -> "Towers":
    from siglip2_multimodal_hash.features.towers import load_towers

    return load_towers(backbone, device)


@contextmanager
def _lean_imports() -> Iterator[None]:
    """Within the block unused libraries look absent, unless they are imported already.

    Caches that do not say how much they hold, hold everything.
    """
    stand_ins: dict[str, Any] = {name: None for name in _UNUSED if name not in sys.modules}
    stand_ins |= {name: _NoCompiler(name) for name in _COMPILER_PARTS}
    # Partly without types.
    patched: list[tuple[Any, str, Any]] = [
        (torch.compiler, "disable", _unchanged),
        (torch.distributed, "is_available", _no),
        (functools, "lru_cache", _roomy_cache),
    ]
    originals = [getattr(module, name) for module, name, _ in patched]
    try:
        sys.modules.update(stand_ins)
        for module, name, stand_in in patched:
            setattr(module, name, stand_in)
        yield
    finally:
        for (module, name, _), original in zip(patched, originals, strict=True):
            setattr(module, name, original)
        for name in stand_ins:
            sys.modules.pop(name, None)


class _NoCompiler(ModuleType):
    """A module of decorators that leave their function as it is."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)
        return _unchanged


def _unchanged(function: Any = None, *_: Any, **__: Any) -> Any:
    """A decorator, with arguments or without."""
    return function if callable(function) else lambda decorated: decorated


def _no() -> bool:
    return False


_lru_cache = functools.lru_cache


def _roomy_cache(maxsize: Any = None, typed: bool = False) -> Any:
    """``functools.lru_cache``, which without a size holds everything instead of 128 results."""
    if callable(maxsize):
        return _lru_cache(maxsize=None)(maxsize)
    return _lru_cache(maxsize=maxsize, typed=typed)
