"""Two processes that share a batch against one process that has it to itself."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from models.pretrain import parallel
from siglip2_multimodal_hash.errors import InputError

SCRIPT = """
import sys
from functools import partial
from pathlib import Path

from safetensors.torch import save_file
from models.pretrain import parallel, towers
from models.pretrain.towers import fixed_config, new_fixed_model
from models.pretrain.loop import Course, Plan, backward
from models.pretrain.scenes import FIXED, scene_batch
from models.pretrain.tokenizer import train_tokenizer


def task(out):
    tokenizer = train_tokenizer(["a dog and a cat", "a photo of a bus."])
    config = fixed_config(len(tokenizer), width=16, vision_layers=1, text_layers=2, heads=1)
    model = new_fixed_model(config, seed=1)
    share = parallel.Share.of(8)
    course = Course(
        model=model,
        batches=None,
        encode_images=lambda batch: towers.image_features(model, batch.pixels),
        encode_texts=partial(towers.text_features, model),
        validate=None,
        export=None,
    )
    batch = scene_batch(FIXED, share.rank * share.size, share.size, tokenizer)
    plan = Plan(minutes=1, bfloat16=False, clip_norm=1e9)
    loss, size = backward(course, plan, batch)
    if not parallel.rank():
        gradients = {name: weight.grad.clone() for name, weight in model.named_parameters()}
        save_file(gradients, out, {"loss": f"{loss:.5f}", "size": str(size)})


if __name__ == "__main__":
    for processes in (1, 2):
        parallel.run(processes, task, Path(sys.argv[1]) / f"{processes}.safetensors")
"""


@pytest.mark.slow
def test_two_processes_give_the_gradient_of_one(tmp_path: Path) -> None:
    script = tmp_path / "share.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=240, check=False, env=environment
    )
    assert result.returncode == 0, result.stderr
    one, two = (load_file(tmp_path / f"{processes}.safetensors") for processes in (1, 2))
    assert one.keys() == two.keys()
    for name, gradient in one.items():
        scale = gradient.abs().max().item()
        torch.testing.assert_close(two[name], gradient, rtol=1e-3, atol=1e-4 * scale + 1e-7)


def test_a_batch_that_cannot_be_shared_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 3)
    with pytest.raises(InputError, match=r"3 processes .* batch of 256"):
        parallel.Share.of(256)
