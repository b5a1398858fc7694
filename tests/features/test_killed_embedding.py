"""A killed run goes on from its last whole shard, to the bytes of a run without a break."""

import functools
import json
import logging
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from siglip2_multimodal_hash.datasets.index import DatasetIndex, make_index, write_index
from siglip2_multimodal_hash.errors import EXIT_INTERRUPTED, DataError
from siglip2_multimodal_hash.params import load_params, watched_inputs
from tests.features import embed_child
from tests.features.embed_child import READY
from tests.features.tiny import Embed, FaultyImages, contents, make_backbone, make_runtime

ROOT = Path(__file__).resolve().parents[2]
# 12 images and 5 distinct captions, two per batch.
BATCHES = {"images": 6, "captions": 3}
RECORD = "resume:Unfinished.record"
WRITE = "features.writer:ArrayWriter.write"
FLUSH = "features.writer:ArrayWriter.flush"
PROGRESS = "out.partial/progress.json"
EmbedHere = Callable[..., dict[str, bytes]]
StartChild = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def embed(embed: Embed, checkpoints: dict[str, Path]) -> EmbedHere:
    """Embed in this process."""

    def run(name: str = "out", *, shard_seconds: float = 0, **options: Any) -> dict[str, bytes]:
        options |= {"runtime": make_runtime(2, 2), "shard_seconds": shard_seconds}
        return contents(embed(checkpoints["siglip"], name, **options))

    return run


@pytest.fixture
def start_child(
    checkpoints: dict[str, Path], index: DatasetIndex, archive: Path, tmp_path: Path
) -> StartChild:
    """Embed the same in a process of its own; see :mod:`.embed_child`."""
    write_params(tmp_path, checkpoints["siglip"])
    write_index(tmp_path / "index.parquet", index)
    return functools.partial(start_in, tmp_path)


@pytest.fixture
def many_images(checkpoints: dict[str, Path], archive: Path, tmp_path: Path) -> Path:
    """A folder for :mod:`.embed_child` with a job of 200 batches of images, 100 of captions."""
    count, folder = 400, tmp_path / "many"
    folder.mkdir()
    write_params(folder, checkpoints["siglip"])
    names = [f"val2014/{number:04d}.jpg" for number in range(count)]
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(folder / "val2014.zip", "w") as target:
        few = [source.read(name) for name in source.namelist()]
        for number, name in enumerate(names):
            target.writestr(name, few[number % len(few)])
    columns = {
        "image_id": range(1, count + 1),
        "file_name": names,
        "split": ["train"] * count,
        **dict.fromkeys(("width", "height", "bytes"), [100] * count),
    }
    captions = [(f"cat {number // 2}",) for number in range(count)]
    labels = np.ones((count, 2), np.uint8)
    made = make_index(columns, captions, labels, (1, 2), ("airplane", "cat"))
    write_index(folder / "index.parquet", made)
    return folder


@pytest.fixture
def computed(caplog: pytest.LogCaptureFixture) -> Callable[[], int]:
    """Number of batches, by the log since it was cleared, that this process has computed."""
    caplog.set_level(logging.INFO)

    def count() -> int:
        whole = sum(BATCHES[unit] for unit in BATCHES if re.search(rf"\d {unit} in ", caplog.text))
        done = re.findall(r"continuing at batch (\d+) of", caplog.text)
        return whole - sum(int(batch) - 1 for batch in done)

    return count


def write_params(folder: Path, checkpoint: Path) -> None:
    params = load_params(ROOT / "params.yaml").model_dump()
    params["backbone"] = make_backbone(checkpoint).model_dump()
    watched = watched_inputs(params["dataset"]["kind"], params["dataset"]["name"], str(checkpoint))
    params["runtime"] = make_runtime(2, 2).model_dump() | {"watch": watched}
    (folder / "params.json").write_text(json.dumps(params))


def start_in(folder: Path, *moment: str) -> subprocess.Popen[str]:
    """Embed what lies in a folder into its ``out``; see :mod:`.embed_child`."""
    command = [sys.executable, "-m", "tests.features.embed_child", folder, folder / "out", *moment]
    return subprocess.Popen(
        list(map(str, command)),
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
        stderr=subprocess.PIPE,
        text=True,
    )


FULL_DISK = """
mount -t tmpfs -o size=80k none {disk}
{child} {disk}/out; echo $?; ls -A {disk}/out.partial/out
cp -r {disk} {copy}
"""


def test_a_full_disk_is_told_with_what_is_needed_and_loses_no_whole_batch(
    many_images: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # 400 images of 32 numbers of 4 bytes are 50 KiB, and so are the captions.
    disk, copy = tmp_path / "disk", tmp_path / "copy"
    disk.mkdir()
    child = f"{sys.executable} -m tests.features.embed_child {many_images}"
    try:
        done = subprocess.run(
            ["unshare", "-rm", "sh", "-c", FULL_DISK.format(disk=disk, copy=copy, child=child)],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        pytest.skip("no `unshare` here")
    if "mount:" in done.stderr or "unshare:" in done.stderr:
        pytest.skip("no small disk can be mounted here")
    assert done.stdout.split() == ["2", "image.npy"], done.stderr
    needed = "out: cannot be written (No space left on device; caption.npy needs 50.0 KiB)"
    assert needed in done.stderr
    assert "-> free space" in done.stderr
    caplog.set_level(logging.INFO)
    embed_child.embed(many_images, copy / "out")  # where there is room
    assert "found 200 of 200 batches of images and 0 of 100 of captions" in caplog.text


def progress(tmp_path: Path) -> Any:
    return json.loads((tmp_path / "out.partial" / "progress.json").read_text())["progress"]


@pytest.mark.parametrize(
    ("method", "call", "when", "images", "captions"),
    [
        pytest.param(FLUSH, 3, "before", 2, 0, marks=pytest.mark.slow),
        pytest.param(WRITE, 4, "after", 3, 0, marks=pytest.mark.slow),
        pytest.param(RECORD, 6, "after", 6, 0, marks=pytest.mark.slow),
        (RECORD, 8, "after", 6, 2),
        pytest.param("resume:Unfinished.complete", 1, "before", 6, 3, marks=pytest.mark.slow),
    ],
)
def test_killed_at_any_moment_it_goes_on_from_there(
    embed: EmbedHere,
    start_child: StartChild,
    computed: Callable[[], int],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    method: str,
    call: int,
    when: str,
    images: int,
    captions: int,
) -> None:
    whole = embed("whole")
    child = start_child("SIGKILL", method, str(call), when)
    child.communicate(timeout=120)
    assert child.returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    assert progress(tmp_path) == {"images": images, "captions": captions}
    caplog.clear()
    assert embed("out") == whole
    assert computed() == sum(BATCHES.values()) - images - captions
    assert not (tmp_path / "out.partial").exists()
    continued = re.findall(r"(\w+): continuing at batch (\d+) of (\d+)", caplog.text)
    expected = {"images": images, "captions": captions}
    assert continued == [
        (unit, str(done + 1), str(BATCHES[unit]))
        for unit, done in expected.items()
        if 0 < done < BATCHES[unit]
    ]


@pytest.mark.slow
def test_killed_before_the_first_shard_it_begins_anew(
    embed: EmbedHere,
    start_child: StartChild,
    computed: Callable[[], int],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    whole = embed("whole")
    start_child("SIGKILL", WRITE, "1", "after").communicate(timeout=120)
    assert (tmp_path / "out.partial" / "out" / "image.npy").exists()
    caplog.clear()
    assert embed("out") == whole
    assert computed() == sum(BATCHES.values())


@pytest.mark.slow
def test_killed_again_and_again_it_arrives(
    embed: EmbedHere, start_child: StartChild, tmp_path: Path
) -> None:
    whole = embed("whole")
    for done in (3, 6):
        start_child("SIGKILL", RECORD, "3", "after").communicate(timeout=120)
        assert progress(tmp_path) == {"images": done, "captions": 0}
    child = start_child()
    _, log = child.communicate(timeout=120)
    assert child.returncode == 0, log
    assert contents(tmp_path / "out") == whole
    assert "found 6 of 6 batches of images and 0 of 3 of captions" in log


@pytest.mark.slow
def test_twenty_random_kills_of_one_job(many_images: Path) -> None:
    """Half of them while the towers load or the work is taken up, half while it goes on."""
    moments, met = random.Random(0), set()
    out, whole, record = (many_images / name for name in ("out", "whole", PROGRESS))

    def live() -> subprocess.Popen[str]:
        child = start_in(many_images)
        assert child.stderr is not None
        while child.stderr.readline().strip() != READY:
            assert child.poll() is None
        return child

    def arrive() -> None:
        child = live()
        _, log = child.communicate(timeout=300)
        assert child.returncode == 0, log

    began = time.monotonic()
    arrive()
    duration = time.monotonic() - began
    out.rename(whole)
    killed = 0
    while killed < 20:
        child, before = live(), content_of(record)
        if killed % 2:
            while child.poll() is None and content_of(record) == before:
                time.sleep(0.001)
            time.sleep(moments.uniform(0, 0.05))
        else:
            time.sleep(moments.uniform(0, duration / 4))
        child.kill()
        child.communicate(timeout=120)
        killed += child.returncode == -signal.SIGKILL
        met.add(content_of(record))
        if out.exists():
            # It arrived before it was killed: the same job once more, from the beginning.
            assert contents(out) == contents(whole)
            shutil.rmtree(out)
    assert len(met) > 8, "the kills met the job at work"
    arrive()
    assert contents(out) == contents(whole)
    assert not record.parent.exists()


def content_of(path: Path) -> str | None:
    try:
        return path.read_text()
    except FileNotFoundError:
        return None


def test_ctrl_c_says_what_it_keeps(
    embed: EmbedHere,
    start_child: StartChild,
    computed: Callable[[], int],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    whole = embed("whole")
    child = start_child("SIGINT", RECORD, "4", "after")
    _, log = child.communicate(timeout=120)
    assert child.returncode == EXIT_INTERRUPTED, log
    assert "interrupted: kept 4 of 6 batches of images and 0 of 3 of captions in" in log
    assert "rerun to resume" in log
    assert "Traceback" not in log
    assert not (tmp_path / "out").exists()
    caplog.clear()
    assert embed("out") == whole
    assert computed() == 2 + 3


def test_a_pass_with_bad_images_is_whole_up_to_the_first_of_them(
    embed: EmbedHere,
    archive: Path,
    computed: Callable[[], int],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    damaged = FaultyImages(archive, ("005.jpg", "010.jpg"))
    whole = embed("whole")
    for _ in range(2):
        with pytest.raises(DataError, match="2 of the images cannot be read") as caught:
            embed(images=damaged)
        assert all(name in str(caught.value) for name in ("005.jpg", "010.jpg"))
        assert progress(tmp_path) == {"images": 2, "captions": 0}
        assert not (tmp_path / "out").exists()
    caplog.clear()
    assert embed() == whole
    assert computed() == 4 + 3


def test_nothing_is_recorded_before_a_shard_is_over(
    embed: EmbedHere, archive: Path, tmp_path: Path
) -> None:
    damaged = FaultyImages(archive, "010.jpg")
    for seconds, left in ((1000, False), (0, True)):
        with pytest.raises(DataError, match="cannot be read"):
            embed(images=damaged, shard_seconds=seconds)
        assert (tmp_path / "out.partial").exists() == left
