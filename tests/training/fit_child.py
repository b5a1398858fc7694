"""A process that fits a small head and is killed, or interrupted, at a chosen moment.

``python -m tests.training.fit_child OUT [SIGNAL METHOD CALL WHEN]``: the signal comes ``before`` or
``after`` the CALL-th call of METHOD, a ``module:name`` or ``module:Class.name`` of the package.
"""

import sys
from pathlib import Path

from siglip2_multimodal_hash.kernels import pin_cpu_kernels
from tests.signalling import arm, heed_ctrl_c

pin_cpu_kernels()

ROOM = "siglip2_multimodal_hash"


def main() -> None:
    import torch

    from siglip2_multimodal_hash.entry import set_up_log
    from tests.training.resumable import resumable_fit
    from tests.training.small_fits import small_params

    heed_ctrl_c()
    torch.set_num_threads(1)
    if sys.argv[2:]:
        arm(ROOM, *sys.argv[2:])
    set_up_log(small_params())
    resumable_fit(Path(sys.argv[1]))


if __name__ == "__main__":
    from siglip2_multimodal_hash.errors import run_guarded

    run_guarded(main)
