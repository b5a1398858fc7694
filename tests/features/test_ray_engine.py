"""The Ray engine: the bytes of the local one, whatever happens to its workers."""

import json
import os
import socket
import subprocess
import sys
import time

import pytest

from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.features.engines import ray_cluster
from siglip2_multimodal_hash.features.runner import embed_dataset
from siglip2_multimodal_hash.params import RuntimeParams
from tests.features.ray_images import NotedImages


@pytest.fixture
def embed(checkpoints, make_backbone, make_runtime, index, archive, open_images, tmp_path):
    """Embed by either engine, two images a batch: six batches."""

    def run(name, engine="ray", *, images=None, **options):
        values = make_runtime(2, 2).model_dump()
        values["embed"] |= {"engine": engine, **options}
        runtime = RuntimeParams.model_validate(values)
        source, folder = images or open_images(archive), tmp_path / name
        backbone = make_backbone(checkpoints["siglip"])
        embed_dataset(index, source, backbone, runtime, folder, shard_seconds=0)
        return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}

    return run


@pytest.fixture
def note(archive, tmp_path):
    (tmp_path / "notes").mkdir()
    return lambda **options: NotedImages(archive, tmp_path / "notes", **options)


@pytest.mark.ray
def test_a_worker_killed_midway_changes_nothing(embed, note, tmp_path):
    whole = embed("whole", "local")
    images = note(readers=2, kill_at="007.jpg")
    assert embed("out", images=images, ray_workers=2) == whole
    assert (tmp_path / "notes" / "killed").exists()
    # Two workers, and the one that came for the dead one.
    assert len(images.pids() - {os.getpid()}) == 3
    assert not (tmp_path / "out.partial").exists()
