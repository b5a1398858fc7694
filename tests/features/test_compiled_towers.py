"""Towers through ``torch.compile``; and as they are where it does not work."""

import logging
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Never

import numpy as np
import pytest
import torch
from torch import Tensor

from siglip2_multimodal_hash.features.compilation import CompiledFeatures
from siglip2_multimodal_hash.features.store import Embeddings, load_embeddings
from tests.features.tiny import Embed, make_runtime

FAILED = "torch.compile failed, continuing without"
EmbedCompiled = Callable[..., Embeddings]


@pytest.fixture(autouse=True)
def fresh_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing that an earlier test, or run, compiled."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.fixture
def embed(embed: Embed, checkpoints: dict[str, Path]) -> EmbedCompiled:
    def run(name: str, *, compile: bool) -> Embeddings:
        runtime = make_runtime(2, 5, compile=compile)
        return load_embeddings(embed(checkpoints["siglip"], name, runtime=runtime))

    return run


@pytest.fixture
def no_compiler() -> Iterator[None]:
    from torch._inductor import config

    with config.patch({"cpp.cxx": ("/no/such/compiler",)}):
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("no_compiler")
def test_without_a_compiler_the_pass_goes_on(
    embed: EmbedCompiled, caplog: pytest.LogCaptureFixture
) -> None:
    plain = embed("plain", compile=False)
    caplog.set_level(logging.WARNING)
    found = embed("compiled", compile=True)
    for name in ("image", "caption", "prompt"):
        assert np.array_equal(getattr(found, name), getattr(plain, name))
    assert [message.split(":")[0] for message in caplog.messages] == ["texts", "images"]
    for message in caplog.messages:
        assert FAILED in message
        assert "compiler" in message
        assert "runtime.embed.compile: false" in message


def broken(**_inputs: Any) -> Never:
    raise ValueError("a defect of the model")


def out_of_memory(**_inputs: Any) -> Never:
    raise torch.OutOfMemoryError("CUDA out of memory.")


def test_a_defect_of_the_model_is_not_hidden() -> None:
    with pytest.raises(ValueError, match="a defect of the model"):
        CompiledFeatures(broken, "images")(pixel_values=torch.ones(2))


def test_memory_is_not_the_compilers_fault(caplog: pytest.LogCaptureFixture) -> None:
    features = CompiledFeatures(out_of_memory, "images")
    with pytest.raises(torch.OutOfMemoryError):
        features(pixel_values=torch.ones(2))
    assert FAILED not in caplog.text


def double(values: Tensor) -> Tensor:
    return values * 2


@pytest.mark.usefixtures("no_compiler")
def test_a_copy_of_what_failed_does_not_try_again(caplog: pytest.LogCaptureFixture) -> None:
    features = CompiledFeatures(double, "images")
    with torch.inference_mode():
        assert features(values=torch.ones(3)).tolist() == [2, 2, 2]
        assert features(values=torch.ones(3)).tolist() == [2, 2, 2]
    assert FAILED in caplog.text
    caplog.clear()
    copy = pickle.loads(pickle.dumps(features))
    assert copy(values=torch.ones(3)).tolist() == [2, 2, 2]
    assert not caplog.messages


@pytest.mark.slow
def test_a_copy_compiles_anew(caplog: pytest.LogCaptureFixture) -> None:
    copy = pickle.loads(pickle.dumps(CompiledFeatures(double, "images")))
    assert copy(values=torch.ones(3)).tolist() == [2, 2, 2]
    assert FAILED not in caplog.text


@pytest.mark.slow
def test_compiled_towers_give_the_same_but_for_the_last_bits(
    embed: EmbedCompiled, caplog: pytest.LogCaptureFixture
) -> None:
    plain, found = embed("plain", compile=False), embed("compiled", compile=True)
    assert FAILED not in caplog.text
    for name in ("image", "caption", "prompt"):
        np.testing.assert_allclose(getattr(found, name), getattr(plain, name), atol=1e-5)
    assert found.meta == plain.meta
