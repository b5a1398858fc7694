"""The Ray engine: the bytes of the local one, whatever happens to its workers."""

import json
import os
import secrets
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from siglip2_multimodal_hash.datasets.images import ImageSource
from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.features.engines import ray_cluster
from siglip2_multimodal_hash.features.engines.ray_cluster import LONGEST_TEMP
from tests.features.ray_images import NotedImages
from tests.features.tiny import Embed, contents, make_runtime

ROOT = Path(__file__).resolve().parents[2]
EmbedByEngine = Callable[..., dict[str, bytes]]
Note = Callable[..., NotedImages]


@pytest.fixture(scope="module", autouse=True)
def token() -> Iterator[None]:
    """Of these tests only; otherwise Ray puts one into the home folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        yield


@pytest.fixture
def embed(embed: Embed, checkpoints: dict[str, Path]) -> EmbedByEngine:
    """Embed by either engine, two images per batch: six batches."""

    def run(
        name: str, engine: str = "ray", *, images: ImageSource | None = None, **options: Any
    ) -> dict[str, bytes]:
        runtime = make_runtime(2, 2, engine=engine, **options)
        folder = embed(checkpoints["siglip"], name, runtime=runtime, images=images, shard_seconds=0)
        return contents(folder)

    return run


@pytest.fixture
def note(archive: Path, tmp_path: Path) -> Note:
    (tmp_path / "notes").mkdir()
    return lambda **options: NotedImages(archive, tmp_path / "notes", **options)


@pytest.mark.slow  # 25 s alone, 70 beside other tests: Ray starts processes of its own
@pytest.mark.ray
def test_a_worker_killed_midway_changes_nothing(
    embed: EmbedByEngine, note: Note, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The tests' folder, and no word of the project's sources: workers find those by themselves.
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    whole = embed("whole", "local")
    images = note(readers=2, kill_at="007.jpg")
    assert embed("out", images=images, ray_workers=2) == whole
    assert (tmp_path / "notes" / "killed").exists()
    # Two workers, and the one that came for the dead one.
    assert len(images.pids() - {os.getpid()}) == 3
    assert not (tmp_path / "out.partial").exists()


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a cluster of two machines with a CPU each."""
    from ray.cluster_utils import Cluster

    options = {"num_cpus": 1, "object_store_memory": 100_000_000, "include_dashboard": False}
    found = Cluster(initialize_head=True, head_node_args=options)
    found.add_node(num_cpus=1, object_store_memory=100_000_000)
    yield found.address
    found.shutdown()


@pytest.mark.slow
@pytest.mark.ray
def test_bad_images_are_found_in_one_pass_and_a_cluster_goes_on(
    embed: EmbedByEngine, note: Note, cluster: str, tmp_path: Path
) -> None:
    whole = embed("whole", "local")
    bad = note(damaged=("005.jpg", "010.jpg"))
    with pytest.raises(DataError) as local:
        embed("local", "local", images=bad)
    with pytest.raises(DataError, match="2 of the images cannot be read") as caught:
        embed("out", images=bad, ray_address=cluster, ray_workers=1)
    assert str(caught.value) == str(local.value)
    assert not (tmp_path / "out").exists()
    progress = json.loads((tmp_path / "out.partial" / "progress.json").read_text())
    assert progress["progress"] == {"images": 2, "captions": 0}
    # Either engine continues what the other one began.
    assert embed("out", ray_address=cluster, ray_workers=1) == whole
    assert embed("local", "local") == whole


@pytest.mark.slow
@pytest.mark.ray
def test_a_machine_without_the_images_is_named(
    embed: EmbedByEngine, note: Note, cluster: str
) -> None:
    images = note(only_here=True)
    with pytest.raises(InputError, match="cannot read what can be read here") as caught:
        embed("out", images=images, ray_address=cluster, ray_workers=1)
    assert socket.gethostname() in str(caught.value)
    assert "/shared/val2014/000.jpg: no such file" in str(caught.value)
    assert "at the same path on every machine" in str(caught.value)


@pytest.mark.slow
@pytest.mark.ray
def test_more_workers_than_have_room_are_refused(embed: EmbedByEngine, cluster: str) -> None:
    with pytest.raises(InputError, match=r"ray_workers = 3: .* Ray has 2 free\n.*to 2"):
        embed("out", ray_address=cluster, ray_workers=3)


@pytest.mark.ray
@pytest.mark.parametrize("listening", [False, True])
def test_an_address_where_no_ray_answers(
    embed: EmbedByEngine, monkeypatch: pytest.MonkeyPatch, listening: bool, tmp_path: Path
) -> None:
    monkeypatch.setattr(ray_cluster, "ANSWER_SECONDS", 2.0)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if listening:
            server.listen()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        reason = "no answer in 2 s" if listening else "refused"
        with pytest.raises(InputError, match=f"{address}: cannot be joined .*{reason}") as caught:
            embed("out", ray_address=address)
    assert "ray start --head" in str(caught.value)
    assert not (tmp_path / "out.partial").exists()


def test_without_ray_the_remedy_is_its_installation(
    embed: EmbedByEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"engine = ray: .* not installed(.|\n)*pip install .*ray"):
        embed("out")
    assert not (tmp_path / "out.partial").exists()


@pytest.mark.parametrize("variable", ["TMPDIR", "RAY_TMPDIR"])
def test_a_folder_whose_path_leaves_no_room_for_sockets(
    embed: EmbedByEngine, monkeypatch: pytest.MonkeyPatch, variable: str, tmp_path: Path
) -> None:
    monkeypatch.setenv(variable, f"/scratch/{'x' * 31}")
    with pytest.raises(InputError, match=rf"{variable} = .* has 40 bytes(.|\n)*RAY_TMPDIR=/tmp"):
        embed("out")
    assert not (tmp_path / "out.partial").exists()


@pytest.mark.slow
@pytest.mark.ray
def test_a_folder_whose_path_leaves_room_for_sockets(
    embed: EmbedByEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        longest = Path(folder, "x" * (LONGEST_TEMP - len(folder) - 1))
        longest.mkdir()
        monkeypatch.setenv("RAY_TMPDIR", str(longest))
        assert embed("out") == embed("whole", "local")


@pytest.mark.slow
@pytest.mark.ray
def test_a_machine_that_leaves_changes_nothing(embed: EmbedByEngine, note: Note) -> None:
    from ray.cluster_utils import Cluster

    options = {"num_cpus": 1, "object_store_memory": 100_000_000, "include_dashboard": False}
    found = Cluster(initialize_head=True, head_node_args=options)
    gone = found.add_node(num_cpus=1, object_store_memory=100_000_000)
    images = note(readers=2)
    whole = embed("whole", "local")

    def leave() -> None:
        while len(images.pids()) < 2:
            time.sleep(0.05)
        found.remove_node(gone, allow_graceful=False)

    thread = threading.Thread(target=leave)
    thread.start()
    # Ray starts its worker again on the machine that is left, when there is room.
    assert embed("out", images=images, ray_address=found.address) == whole
    thread.join()
    found.shutdown()
