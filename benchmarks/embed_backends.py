"""Base-size towers on a CPU: PyTorch in float32 against bfloat16, OpenVINO and ONNX Runtime.

    python benchmarks/embed_backends.py [--threads 2] [--images 8] [--repetitions 5]

Image tower of random weights, in the sizes of google/siglip2-base-patch16-256, on random pixels.
All ways take turns on the same batch, so that whatever else the machine does meets all of them.
The last line is JSON; of each way: images/s; ``speedup``, the median of PyTorch's wall time in
float32 over its own; ``cpu_speedup``, the same of CPU time; and ``off``, the largest 1 - cos
between its embedding of an image and PyTorch's in float32. What is not installed is left out, and
so is what the CPU cannot do.

PyTorch's kernels are held to AVX2 (``kernels.py``), which has no bfloat16: it is emulated there.
The others take what the CPU offers.
"""

import argparse
import importlib.util
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Run by its path, a script sees its own folder only.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch

from benchmarks.devices import describe_device
from benchmarks.towers_and_images import make_towers
from siglip2_multimodal_hash.arrays import Vectors
from siglip2_multimodal_hash.errors import InputError, run_guarded
from siglip2_multimodal_hash.features.openvino_backend import TracedTower, with_openvino
from siglip2_multimodal_hash.features.preprocessing import Inputs
from siglip2_multimodal_hash.features.towers import Towers

REFERENCE = "torch float32"
Encode = Callable[[Inputs], Vectors]


def ways(which: str) -> dict[str, Encode]:
    """Each way by its name; :data:`REFERENCE` is the first."""

    def encoder(towers: Towers) -> Encode:
        return lambda inputs: towers.encode_images(inputs).numpy()

    found = {}
    for dtype in ("float32", "bfloat16"):
        towers = make_towers(which, "cpu", dtype)
        found[f"torch {dtype}"] = encoder(towers)
        try:
            found[f"openvino {dtype}"] = encoder(with_openvino(towers))
        except InputError as error:
            print(f"left out: {error}", flush=True)
    if importlib.util.find_spec("onnxruntime"):
        found["onnxruntime float32"] = _onnxruntime(make_towers(which, "cpu"))
    return found


def _onnxruntime(towers: Towers) -> Encode:
    import onnxruntime

    size = towers.model.config.vision_config.image_size
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/tower.onnx"
        torch.onnx.export(
            TracedTower(towers.model, towers.model.get_image_features),
            (torch.zeros(2, 3, size, size),),
            file,
            input_names=["pixels"],
            dynamic_axes={"pixels": {0: "batch"}},
            opset_version=18,
            dynamo=False,
        )
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(None, {"pixels": inputs["pixel_values"].numpy()})[0]


def run(which: str, images: int, repetitions: int) -> dict[str, Any]:
    """The figures of each way."""
    encoders = ways(which)
    size = 256 if which == "base" else 128
    generator = torch.Generator().manual_seed(0)
    batch = {"pixel_values": torch.rand(images, 3, size, size, generator=generator) * 2 - 1}
    directions = {name: _direction(encode(batch)) for name, encode in encoders.items()}
    wall: dict[str, list[float]] = {name: [] for name in encoders}
    cpu: dict[str, list[float]] = {name: [] for name in encoders}
    for number in range(repetitions):
        print(f"round {number + 1} of {repetitions}", flush=True)
        for name, encode in encoders.items():
            began, began_cpu = time.perf_counter(), time.process_time()
            encode(batch)
            cpu[name].append(time.process_time() - began_cpu)
            wall[name].append(time.perf_counter() - began)

    def gain(seconds: dict[str, list[float]], name: str) -> float:
        pairs = zip(seconds[REFERENCE], seconds[name], strict=True)
        return round(statistics.median(plain / own for plain, own in pairs), 2)

    figures = {
        name: {
            "images_per_second": round(images / statistics.median(wall[name]), 2),
            "speedup": gain(wall, name),
            "cpu_speedup": gain(cpu, name),
            "off": float(f"{(1 - (own * directions[REFERENCE]).sum(axis=1)).max():.1e}"),
        }
        for name, own in directions.items()
    }
    return {"device": describe_device(torch.device("cpu")), "tower": which, **figures}


def _direction(features: Vectors) -> Any:
    wide = features.astype(np.float64)
    return wide / np.linalg.norm(wide, axis=1, keepdims=True)


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--images", type=int, default=8, help="in the batch")
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(json.dumps(run("base", options.images, options.repetitions)))


if __name__ == "__main__":
    run_guarded(main)
