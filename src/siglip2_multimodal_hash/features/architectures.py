"""Which cards a build of PyTorch has kernels for; needs no PyTorch to say so."""

import re
from collections.abc import Sequence


def has_kernels(capability: tuple[int, int], architectures: Sequence[str]) -> bool:
    """Whether code for one of these architectures runs on a card.

    Machine code (``sm_90``) runs on cards of the same major capability and at least the same
    minor one; PTX (``compute_90``) is compiled at load time for any later card. The suffix ``a``
    ties either to exactly its own capability, ``f`` to its major one (CUDA C++ Programming Guide,
    "Compute Capabilities").

    Args:
        capability: Of the card, such as (12, 0) for an RTX 5080.
        architectures: What the build was compiled for: ``torch.cuda.get_arch_list()``.
    """
    return any(_runs(architecture, capability) for architecture in architectures)


def _runs(architecture: str, capability: tuple[int, int]) -> bool:
    match = re.fullmatch(r"(sm|compute)_(\d+)(\d)([af]?)", architecture)
    if match is None:
        return False
    kind, suffix = match[1], match[4]
    built = (int(match[2]), int(match[3]))
    if suffix == "a":
        return built == capability
    same_major = built[0] == capability[0]
    return built <= capability and (same_major or (kind == "compute" and not suffix))
