"""A process that embeds so many images, and prints the most memory that it held, in KiB.

``python -m tests.features.peak_child CHECKPOINT FOLDER IMAGES``
"""

import io
import sys
import zipfile
from pathlib import Path

from siglip2_multimodal_hash.kernels import pin_cpu_kernels

pin_cpu_kernels()

PARAMS = Path(__file__).resolve().parents[2] / "params.yaml"
CAPTIONS = 5


def write_images(path: Path, count: int) -> None:
    """An archive of noisy images; the same twelve under many names."""
    import numpy as np
    from PIL import Image

    generator = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as target:
        files = []
        for _ in range(12):
            stream = io.BytesIO()
            pixels = generator.integers(0, 256, (160, 200, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(stream, "JPEG")
            files.append(stream.getvalue())
        for number in range(count):
            target.writestr(f"val2014/{number:06d}.jpg", files[number % 12])


def main() -> None:
    import numpy as np
    import torch

    from siglip2_multimodal_hash.datasets.containers import open_container
    from siglip2_multimodal_hash.datasets.images import ContainedImages
    from siglip2_multimodal_hash.datasets.index import make_index
    from siglip2_multimodal_hash.features.runner import embed_dataset
    from siglip2_multimodal_hash.params import load_params

    torch.set_num_threads(1)
    checkpoint, folder, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    write_images(folder / "val2014.zip", count)
    params = load_params(PARAMS)
    columns = {
        "image_id": range(count),
        "file_name": [f"val2014/{number:06d}.jpg" for number in range(count)],
        "split": ["train"] * count,
        **{name: [100] * count for name in ("width", "height", "bytes")},
    }
    captions = [[f"a cat {number} {which}" for which in range(CAPTIONS)] for number in range(count)]
    index = make_index(columns, captions, np.ones((count, 1), np.uint8), (1,), ("cat",))
    log = params.runtime.logging.model_copy(update={"progress": False})
    embed_dataset(
        index,
        ContainedImages({"val2014": open_container(folder / "val2014.zip", "val2014")}),
        params.backbone.model_copy(update={"checkpoint": checkpoint}),
        params.runtime.model_copy(update={"device": "cpu", "logging": log}),
        folder / "out",
        shard_seconds=0.5,
    )
    status = Path("/proc/self/status").read_text().splitlines()
    print(next(line for line in status if line.startswith("VmHWM:")).split()[1])


if __name__ == "__main__":
    main()
