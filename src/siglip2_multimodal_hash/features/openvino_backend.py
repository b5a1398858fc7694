"""The towers through OpenVINO, a library for CPUs that fuses their layers; the extra ``openvino``.

It computes in ``backbone.amp_dtype``. Its embeddings are PyTorch's but for rounding: of directions,
1 - cos is below 1e-6 in float32 and, as PyTorch's own, some 3e-5 in bfloat16.
"""

import dataclasses
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.features.preprocessing import Inputs
from siglip2_multimodal_hash.features.towers import FIXED, Towers, pooled
from siglip2_multimodal_hash.progress import phase

INSTALL = 'pip install --constraint constraints.txt --editable ".[openvino]"'
PRECISIONS = {torch.float32: "f32", torch.bfloat16: "bf16"}
_CHOSEN = "runtime.embed.backend = openvino"
_TORCH = "set runtime.embed.backend to torch"
_ISA = "ONEDNN_MAX_CPU_ISA"


def with_openvino(towers: Towers) -> Towers:
    """The same towers, computed by OpenVINO on as many threads as PyTorch has.

    Raises:
        InputError: OpenVINO is missing, the device is no CPU, the towers are NaFlex, or the CPU
            has no arithmetic in their dtype.
    """
    try:
        import openvino
    except ImportError:
        raise InputError(f"{_CHOSEN}: not installed", f"{INSTALL}; or {_TORCH}") from None
    if towers.device.type != "cpu":
        raise InputError(f"{_CHOSEN}: only on a CPU", f"{_TORCH}, or runtime.device to cpu")
    if towers.model_type != FIXED:
        # They resize the position embeddings image by image, in Python.
        raise InputError(f"{_CHOSEN}: only for towers of fixed resolution", _TORCH)
    with phase("converting the towers for OpenVINO"):
        return dataclasses.replace(towers, model=OpenVinoModel(towers, openvino))


def backend_version(backend: str) -> str:
    """The backend, with its version where it is not among the libraries that always count."""
    return backend if backend == "torch" else f"{backend} {metadata.version(backend)}"


class OpenVinoModel:
    """Both towers, with the interface that :class:`.Towers` needs.

    Args:
        towers: What it computes.
        openvino: The module.
    """

    def __init__(self, towers: Towers, openvino: Any) -> None:
        self.config = towers.model.config
        image = Image.new("RGB", (16, 16))
        examples = (
            (towers.model.get_image_features, towers.preprocess([image, image])),
            (towers.model.get_text_features, towers.tokenize(["a", "b"])),
        )
        # All of them before the first is compiled: tracing runs PyTorch, with its kernels pinned.
        graphs = [_converted(openvino, towers.model, *example) for example in examples]
        options = {
            "INFERENCE_PRECISION_HINT": PRECISIONS[towers.dtype],
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "NUM_STREAMS": 1,
        }
        with _all_instructions():
            core = openvino.Core()
            able = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
            if towers.dtype == torch.bfloat16 and "BF16" not in able:
                raise InputError(
                    f"backbone.amp_dtype = bfloat16: with {_CHOSEN} only on a CPU that has it",
                    "set backbone.amp_dtype to float32",
                )
            runs = [core.compile_model(graph, "CPU", options) for graph in graphs]
        self.get_image_features, self.get_text_features = map(_callable, runs)


class TracedTower(torch.nn.Module):
    """One tower as a module of one input, for a tracer.

    Args:
        model: Both towers.
        features: Its function of one of them.
    """

    def __init__(self, model: torch.nn.Module, features: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.model = model
        self._features = features

    def forward(self, values: Tensor) -> Tensor:
        return pooled(self._features(values))


def _converted(openvino: Any, model: Any, features: Any, example: Inputs) -> Any:
    """One tower as a graph for batches of any size."""
    (values,) = example.values()
    with warnings.catch_warnings(), torch.no_grad():
        # The tracer warns of every condition in the model's code.
        warnings.simplefilter("ignore")
        return openvino.convert_model(
            TracedTower(model, features), example_input=values, input=[-1, *values.shape[1:]]
        )


def _callable(run: Any) -> Callable[..., Tensor]:
    def features(**inputs: Tensor) -> Tensor:
        (values,) = inputs.values()
        return torch.from_numpy(run(values.numpy())[0].copy())

    return features


@contextmanager
def _all_instructions() -> Iterator[None]:
    """Lift the limit of :mod:`.kernels` for the oneDNN within OpenVINO, which reads it once.

    OpenVINO itself does not know of it, and asks for kernels that are then refused.
    """
    before = os.environ.pop(_ISA, None)
    try:
        yield
    finally:
        if before is not None:
            os.environ[_ISA] = before
