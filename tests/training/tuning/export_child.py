"""A process that exports towers and is killed at the worst moment: all files are there but one.

``python -m tests.training.tuning.export_child FOLDER``
"""

import os
import signal
import sys
from pathlib import Path


def main() -> None:
    import pytest
    import torch

    from siglip2_multimodal_hash.features.towers import load_towers
    from siglip2_multimodal_hash.files import replacing
    from siglip2_multimodal_hash.params import load_params
    from siglip2_multimodal_hash.training.tuning import export

    kill = signal.SIGKILL
    pytest.MonkeyPatch().setattr(export, "write_json", lambda *_: os.kill(os.getpid(), kill))
    towers = load_towers(load_params().backbone, torch.device("cpu"))
    with replacing(Path(sys.argv[1])) as temporary:
        export.export_towers(temporary, towers, {})


if __name__ == "__main__":
    main()
