"""Ray on this machine for one run, or a cluster by its address; and the workers with room there."""

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from siglip2_multimodal_hash.errors import InputError
from siglip2_multimodal_hash.params import EmbedParams

CONNECT_SECONDS = 10.0
# Of the process that asks: importing Ray takes seconds.
ANSWER_SECONDS = 60.0
# Results are small, and taken out as they come.
RESULTS_BYTES = 256 * 2**20
# Bytes: a socket's path has 107, of which its name below that folder may take 68.
LONGEST_TEMP = 39
SOURCES = Path(__file__).resolve().parents[3]
_JOIN = "import sys, ray; ray.init(address=sys.argv[1], log_to_driver=False); ray.shutdown()"


def import_ray(embed: EmbedParams) -> ModuleType:
    """Import Ray with what Ray Data needs.

    Args:
        embed: The address.

    Raises:
        InputError: It is not installed, or is to start here, where the path of the folder for
            temporary files leaves no room for its sockets.
    """
    variable = "RAY_TMPDIR" if "RAY_TMPDIR" in os.environ else "TMPDIR"
    folder = os.environ.get(variable, "")
    size = len(os.fsencode(folder))
    if not embed.ray_address and size > LONGEST_TEMP:
        raise InputError(
            f"runtime.embed.engine = ray: {variable} = {folder} has {size} bytes, and Ray's "
            f"sockets leave {LONGEST_TEMP} for it",
            "export RAY_TMPDIR=/tmp",
        )
    # Read when Ray is imported; a variable that is set already wins.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise InputError(
            f"runtime.embed.engine = ray: Ray Data is not installed ({error})",
            'pip install --constraint constraints.txt --editable ".[ray]", or set '
            "runtime.embed.engine to local",
        ) from None
    logging.getLogger("ray").setLevel(logging.WARNING)
    module: ModuleType = ray
    return module


@contextmanager
def connected(embed: EmbedParams, cpus: int, shipped_bytes: int) -> Iterator[ModuleType]:
    """Ray, ready for use; a connection that was there before is used and left open.

    Args:
        embed: The address.
        cpus: Least number that a Ray on this machine counts with.
        shipped_bytes: Size of what its workers get.

    Raises:
        InputError: See :func:`import_ray`; or no cluster answers at the address.
    """
    ray = import_ray(embed)
    if ray.is_initialized():
        yield ray
        return
    if embed.ray_address:
        _check_answers(embed.ray_address)
        _join(ray, embed.ray_address)
    else:
        ray.init(
            # RAY_ADDRESS of the environment would lead elsewhere.
            address="local",
            num_cpus=max(cpus, os.cpu_count() or 1),
            object_store_memory=RESULTS_BYTES + 2 * shipped_bytes,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.WARNING,
            runtime_env={"env_vars": {"PYTHONPATH": _own_sources()}},
        )
    try:
        yield ray
    finally:
        ray.shutdown()


def _own_sources() -> str:
    """The search path on which workers find this very copy of the project.

    In the copy of the repository that a queued experiment runs in, an editable install would lead
    them to the workspace; without an install they would find nothing.
    """
    return os.pathsep.join(filter(None, (str(SOURCES), os.environ.get("PYTHONPATH"))))


def count_workers(ray: ModuleType, embed: EmbedParams, *, cuda: bool, threads: int) -> int:
    """Number of workers to start.

    Args:
        ray: Connected.
        embed: Number of workers to start; 0 takes all that have room.
        cuda: Whether each of them needs a GPU.
        threads: Number of threads that each of them computes with otherwise.

    Raises:
        InputError: There is no room for them.
    """
    free = ray.available_resources()
    has, kind = (free.get("GPU", 0), "GPU") if cuda else (free.get("CPU", 0), "CPU")
    each = 1 if cuda else threads
    room = int(has // each)
    if room < max(1, embed.ray_workers):
        workers = embed.ray_workers or 1
        raise InputError(
            f"runtime.embed.ray_workers = {embed.ray_workers}: {workers} worker(s) of {each} {kind}"
            f"(s) each, but Ray has {has:g} free",
            f"set runtime.embed.ray_workers to {room}"
            if room
            else f"wait for a free {kind}, add a machine, or set runtime.device to cpu",
        )
    return embed.ray_workers or room


def _check_answers(address: str) -> None:
    """Join from a process that can be ended: in this one, Ray may wait for minutes, or abort it."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except OSError as error:
        raise _unreachable(address, str(error)) from None
    try:
        done = subprocess.run(
            [sys.executable, "-c", _JOIN, address],
            capture_output=True,
            timeout=ANSWER_SECONDS,
            check=False,
            text=True,
        )
    except subprocess.TimeoutExpired:
        raise _unreachable(address, f"no answer in {ANSWER_SECONDS:.0f} s") from None
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        raise _unreachable(address, lines[-1] if lines else f"exit code {done.returncode}")


def _join(ray: ModuleType, address: str) -> None:
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING)
    # Ray raises whatever fits: ConnectionError, RuntimeError (versions differ), ValueError.
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise _unreachable(address, reason) from error


def _unreachable(address: str, reason: str) -> InputError:
    return InputError(
        f"runtime.embed.ray_address = {address}: cannot be joined ({reason})",
        "start Ray there with `ray start --head`, and on this machine with `ray start "
        f'--address={address}`, with the same versions of Ray and Python; or set the address to ""',
    )
