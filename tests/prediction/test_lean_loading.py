"""The lean loader in a process of its own: the ordinary towers, sooner, and nothing broken."""

import functools
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import functools
import sys
import torch
from siglip2_multimodal_hash.features import lean_loading
from siglip2_multimodal_hash.features.spec import Backbone
from PIL import Image

spec = Backbone("tiny", CHECKPOINT, "main", 256, 64, ("{}",), "float32", "float32")
{before}
patched = lambda: (torch.compiler.disable, torch.distributed.is_available, functools.lru_cache)
originals = patched()
lean = lean_loading.load_towers_leanly(spec, torch.device("cpu"))
loaded = "torch._dynamo" in sys.modules
from transformers.utils.import_utils import create_import_structure_from_path
sources = create_import_structure_from_path.cache_info()
read_twice = sources.misses > sources.currsize
assert patched() == originals
for name in ("scipy", "sklearn", "accelerate", "torch._dynamo"):
    assert sys.modules.get(name, torch) is not None
photo = Image.radial_gradient("L").convert("RGB")
image = lean.encode_images(lean.preprocess([photo]))
text = lean.encode_texts(["A dog."])
print(loaded, read_twice, image.sum().item().hex(), text.sum().item().hex(), image.shape[1])
import scipy.optimize
import torch._dynamo
assert torch._dynamo.__file__
"""


@functools.cache
def run(checkpoint: str, before: str = "") -> list[str]:
    program = PROGRAM.replace("CHECKPOINT", repr(str(ROOT / checkpoint))).replace(
        "{before}", before
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(ROOT / "src"), "PATH": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


@pytest.mark.parametrize(
    "checkpoint", ["models/siglip2-tiny-patch16-128", "models/siglip2-tiny-naflex"]
)
def test_the_same_embeddings_without_the_compiler(checkpoint):
    lean = run(checkpoint)
    ordinary = run(checkpoint, before="import transformers, torch._dynamo")
    assert (lean[0], ordinary[0]) == ("False", "True")
    # transformers reads its sources again, because its own cache is too small.
    assert (lean[1], ordinary[1]) == ("False", "True")
    assert lean[2:] == ordinary[2:]
    assert lean[4] == "128"


def test_where_a_release_cannot_do_without_the_ordinary_way_is_taken():
    # Something transformers needs at import is taken away, as another release might need more.
    broken = "lean_loading._UNUSED = (*lean_loading._UNUSED, 'huggingface_hub')"
    assert (
        run("models/siglip2-tiny-patch16-128", before=broken)[2:]
        == run("models/siglip2-tiny-patch16-128")[2:]
    )
