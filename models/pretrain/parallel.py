"""Training in several single-threaded processes, each with its share of every batch.

On a busy CPU this is faster than the threads of one process, which wait for each other in every
operation: here the processes meet twice per step. The result is that of one process, because every
process computes the loss of the whole batch and only its own share's gradient.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.multiprocessing.spawn import spawn

from siglip2_multimodal_hash.errors import InputError


def rank() -> int:
    """The number of this process; 0 where there is only one."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def world_size() -> int:
    """Number of processes that train."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


@dataclass(frozen=True)
class Share:
    """The part of every batch that is this process's."""

    rank: int
    size: int

    @classmethod
    def of(cls, batch: int) -> "Share":
        """An equal share; the number of processes must divide the batch."""
        if batch % world_size():
            raise InputError(
                f"{world_size()} processes cannot share a batch of {batch} evenly",
                "choose a power of two",
            )
        return cls(rank(), batch // world_size())


def run(processes: int, task: Callable[..., None], *arguments: Any) -> None:
    """Call ``task(*arguments)`` in that many processes which can reach each other."""
    if processes == 1:
        task(*arguments)
        return
    library: Any = distributed
    store = library.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    start: Callable[..., Any] = spawn
    start(_join, args=(processes, store.port, task, arguments), nprocs=processes)


def _join(
    number: int, processes: int, port: int, task: Callable[..., None], arguments: tuple[Any, ...]
) -> None:
    torch.set_num_threads(1)
    library: Any = distributed
    store = library.TCPStore("127.0.0.1", port, is_master=False)
    distributed.init_process_group("gloo", store=store, rank=number, world_size=processes)
    try:
        task(*arguments)
    finally:
        distributed.destroy_process_group()


@contextmanager
def first_then_others() -> Iterator[None]:
    """Let process 0 do the block first, so that the others find what it has compiled."""
    if rank() and distributed.is_initialized():
        distributed.barrier()
    yield
    if not rank() and distributed.is_initialized():
        distributed.barrier()


def gather(own: Tensor) -> Tensor:
    """Rows of all processes, in their order: [B / W, ...] -> [B, ...].

    The gradient flows to this process's rows only.
    """
    if world_size() == 1:
        return own
    shares = [torch.empty_like(own) for _ in range(world_size())]
    distributed.all_gather(shares, own.detach().contiguous())
    shares[rank()] = own
    return torch.cat(shares)


def gather_texts(own: Tensor, texts: int) -> Tensor:
    """As :func:`gather`, for rows that are ``texts`` blocks of a share: blocks stay together."""
    return torch.cat([gather(block) for block in own.chunk(texts)])


def sum_gradients(model: nn.Module, shared: tuple[Tensor, ...]) -> None:
    """Add up the gradients of all processes; those of ``shared`` are whole in each already."""
    if world_size() == 1:
        return
    own = [w for w in model.parameters() if w.grad is not None and all(w is not s for s in shared)]
    flat = torch.cat([weight.grad.flatten() for weight in own if weight.grad is not None])
    distributed.all_reduce(flat)
    sizes = [weight.numel() for weight in own]
    for weight, total in zip(own, torch.split(flat, sizes), strict=True):
        weight.grad = total.view_as(weight)


def agree(value: float) -> float:
    """Process 0's value, in all of them: clocks differ."""
    if world_size() == 1:
        return value
    shared = torch.tensor([value], dtype=torch.float64)
    distributed.broadcast(shared, 0)
    return float(shared)
