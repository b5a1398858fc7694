"""Runs that fail leave no output and cost nothing more; runs at the edge of the small work."""

import itertools
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from siglip2_multimodal_hash.datasets.index import DatasetIndex, make_index
from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.features import runner
from siglip2_multimodal_hash.features.mapper import Mapper
from siglip2_multimodal_hash.features.reader import TextReader, read_batches
from siglip2_multimodal_hash.features.runner import embed_dataset
from siglip2_multimodal_hash.features.store import load_embeddings
from siglip2_multimodal_hash.features.towers import Towers, load_towers, pooled
from tests.features.tiny import Embed, FaultyImages, make_backbone, make_runtime, open_archive

CPU = torch.device("cpu")


@pytest.fixture
def embed(embed: Embed, checkpoint: Path) -> Embed:
    """Embed the tiny dataset into a folder of that name."""

    def run(
        name: str = "embeddings", *, workers: int = 0, batch_size: int = 5, **options: Any
    ) -> Path:
        runtime = make_runtime(workers, batch_size)
        return embed(checkpoint, f"out/{name}", runtime=runtime, **options)

    return run


def left_in(tmp_path: Path) -> list[str]:
    """Names of the files in the place of the embeddings."""
    out = tmp_path / "out"
    return sorted(path.name for path in out.iterdir()) if out.exists() else []


@pytest.mark.parametrize(
    ("method", "sound_calls", "message"),
    [
        ("get_image_features", 1, r"image\.npy.* row 9\n"),
        ("get_text_features", 0, r"prompt\.npy.*'a photo of a \{\}\.'"),
        ("get_text_features", 3, r"caption\.npy.* row \d+\n"),  # one call for each template
    ],
)
def test_nan_from_a_tower_is_refused(
    embed: Embed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    sound_calls: int,
    message: str,
) -> None:
    calls = itertools.count()

    def load(*arguments: Any) -> Towers:
        towers = load_towers(*arguments)
        sound = getattr(towers.model, method)

        def broken(**inputs: Tensor) -> Tensor:
            """NaN in the last row, from some call on."""
            output = pooled(sound(**inputs))
            if next(calls) >= sound_calls:
                output[-1, 3] = torch.nan
            return output

        setattr(towers.model, method, broken)
        return towers

    monkeypatch.setattr(runner, "load_towers", load)
    with pytest.raises(DataError, match=message) as caught:
        embed()
    assert "backbone.amp_dtype" in str(caught.value)
    # The images are whole where only a caption fails; another amp_dtype will not go on with them.
    assert left_in(tmp_path) == (["embeddings.partial"] if "caption" in message else [])


@pytest.mark.parametrize("workers", [0, 2])
def test_ctrl_c_in_the_middle_leaves_no_folder(
    embed: Embed, archive: Path, tmp_path: Path, workers: int
) -> None:
    interrupted = FaultyImages(archive, "004.jpg", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        embed(images=interrupted, workers=workers, batch_size=2)
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("workers", [0, 2])
def test_every_bad_image_is_named_once(
    embed: Embed, archive: Path, tmp_path: Path, workers: int
) -> None:
    damaged = FaultyImages(archive, ("003.jpg", "011.jpg"))
    with pytest.raises(DataError) as caught:
        embed(images=damaged, workers=workers, batch_size=2)
    for name in ("val2014/003.jpg", "val2014/011.jpg"):
        assert str(caught.value).count(name) == 1
    assert left_in(tmp_path) == []


def test_a_tokenizer_that_confuses_classes_is_told_before_any_image_is_read(
    embed: Embed, archive: Path, tmp_path: Path
) -> None:
    untouched = FaultyImages(archive, ".jpg", AssertionError())
    with pytest.raises(InputError, match="the same tokens"):
        embed(images=untouched, text_max_length=2, prompt_templates=["a photo of a {}"])
    assert left_in(tmp_path) == []


def test_the_batch_size_changes_nothing_that_counts(embed: Embed) -> None:
    one, other = (load_embeddings(embed(str(size), batch_size=size)) for size in (1, 64))
    np.testing.assert_allclose(one.image, other.image, atol=1e-5)
    np.testing.assert_allclose(one.caption, other.caption, atol=1e-5)
    np.testing.assert_allclose(one.prompt, other.prompt, atol=1e-5)
    assert one.meta == other.meta


def test_one_image_with_one_caption_and_more_workers_than_batches(
    checkpoint: Path, archive: Path, tmp_path: Path
) -> None:
    columns = {"image_id": [1], "file_name": ["val2014/004.jpg"], "split": ["test"]}
    columns |= {name: [10] for name in ("width", "height", "bytes")}
    index = make_index(columns, [["a dog"]], np.ones((1, 1), np.uint8), (18,), ("dog",))
    folder = tmp_path / "embeddings"
    runtime = make_runtime(workers=3, batch_size=64)
    embed_dataset(index, open_archive(archive), make_backbone(checkpoint), runtime, folder)
    stored = load_embeddings(folder)
    assert (len(stored.image), len(stored.caption), len(stored.prompt)) == (1, 1, 1)


def test_captions_scattered_to_their_rows_equal_each_caption_alone(
    checkpoint: Path, index: DatasetIndex
) -> None:
    towers = load_towers(make_backbone(checkpoint), CPU)
    # As another process would get it.
    mapper = pickle.loads(pickle.dumps(Mapper(towers.encode_tokens)))
    texts = index.captions()
    found = np.full((len(texts), 32), np.nan, np.float32)
    for batch in read_batches(TextReader(texts, towers.tokenize, 2), 2):
        found[batch.rows] = mapper(batch)
    for row, text in enumerate(texts):
        np.testing.assert_allclose(found[row], towers.encode_texts([text])[0], atol=1e-5)
