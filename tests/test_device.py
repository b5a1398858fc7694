"""Cards that a build of PyTorch can run on, and the threads of a fit, which its size decides."""

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from siglip2_multimodal_hash.device import (
    SMALL_UPDATE,
    check_kernels,
    choose_device,
    threads_of_fit,
)
from siglip2_multimodal_hash.errors import InputError

CPU = torch.device("cpu")
CU124 = ["sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90"]
CU128 = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"]


@pytest.mark.parametrize(
    ("capability", "architectures"),
    [
        ((9, 0), CU124),
        ((8, 9), CU124),  # machine code of 8.6 runs on 8.9
        ((12, 0), CU128),
        ((12, 1), CU128),
        ((12, 0), [*CU124, "compute_90"]),  # PTX is compiled for later cards
        ((9, 0), ["sm_90a"]),
        ((12, 1), ["sm_120f"]),
    ],
)
def test_card_with_kernels(capability: tuple[int, int], architectures: list[str]) -> None:
    check_kernels("card", capability, architectures)


@pytest.mark.parametrize(
    ("capability", "architectures"),
    [
        ((12, 0), CU124),
        ((12, 0), CU128[:-1]),  # machine code of 10.0 does not run on 12.0
        ((8, 0), ["sm_86"]),  # nor that of a later minor version
        ((8, 0), ["compute_90"]),  # nor PTX of a later version
        ((9, 1), ["sm_90a"]),  # `a`: this capability only
        ((12, 0), ["sm_90a", "compute_90a"]),
        ((12, 0), ["sm_100f", "compute_100f"]),  # `f`: this major version only
        ((7, 0), []),
        ((7, 0), ["gfx90a"]),
    ],
)
def test_card_without_kernels(capability: tuple[int, int], architectures: list[str]) -> None:
    with pytest.raises(InputError, match=f"capability {capability[0]}.{capability[1]}"):
        check_kernels("card", capability, architectures)


def test_message_names_card_capability_build_and_remedy() -> None:
    with pytest.raises(InputError) as caught:
        check_kernels("NVIDIA GeForce RTX 5080", (12, 0), CU124)
    message = str(caught.value)
    for part in ("RTX 5080", "12.0", torch.__version__, "sm_90", ">= 2.7", ">= 12.8"):
        assert part in message


def test_choice_follows_the_hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == torch.device("cpu")
    with pytest.raises(InputError, match=r"runtime\.device = cuda"):
        choose_device("cuda")


def test_a_card_without_kernels_is_refused_unless_cpu_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "RTX 5080")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (12, 0))
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: CU124)
    assert choose_device("cpu") == torch.device("cpu")
    for name in ("auto", "cuda"):
        with pytest.raises(InputError, match="RTX 5080"):
            choose_device(name)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: CU128)
    assert choose_device("auto") == torch.device("cuda")


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    assert torch.get_num_threads() == 2, "what was set stays set behind the block"
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(("pairs", "threads"), [(1, 1), (99_999, 1), (100_000, 2), (10**6, 2)])
def test_small_updates_take_one_thread(pairs: int, threads: int) -> None:
    network = nn.Linear(999, 1)  # a thousand weights
    assert SMALL_UPDATE == 1000 * 100_000
    with threads_of_fit(network, pairs, CPU):
        assert torch.get_num_threads() == threads


@pytest.mark.usefixtures("two_threads")
def test_a_gpu_leaves_the_threads_alone() -> None:
    with threads_of_fit(nn.Linear(1, 1), 1, torch.device("cuda")):
        assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_they_are_set_back_after_an_error() -> None:
    with pytest.raises(KeyError), threads_of_fit(nn.Linear(1, 1), 1, CPU):
        raise KeyError
