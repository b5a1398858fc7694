"""Engines that run reader, mapper and writer: in this process, or on Ray."""

from collections.abc import Iterator
from contextlib import contextmanager

from siglip2_multimodal_hash.features.engines.local import LocalEngine
from siglip2_multimodal_hash.features.engines.pipeline import Pipeline
from siglip2_multimodal_hash.features.towers import Towers
from siglip2_multimodal_hash.params import RuntimeParams


@contextmanager
def open_engine(towers: Towers, runtime: RuntimeParams, shard_seconds: float) -> Iterator[Pipeline]:
    """Start the engine of ``runtime.embed.engine``, and stop it in the end.

    Args:
        towers: Loaded, on the device that decides the embeddings. The engine may move them.
        runtime: The engine and its workers.
        shard_seconds: Interval at which the progress is recorded.

    Raises:
        InputError: Ray is not installed, or not reachable, or has no room for the workers.
    """
    if runtime.embed.engine == "local":
        yield LocalEngine(towers, runtime, shard_seconds)
        return
    # Only here: most installations have no Ray.
    from siglip2_multimodal_hash.features.engines.ray import ray_engine

    with ray_engine(towers, runtime, shard_seconds) as engine:
        yield engine
