"""Runs that fail leave no output and cost nothing more; runs at the edge of the small work."""

import dataclasses
import pickle
from pathlib import Path
from typing import Never

import numpy as np
import pytest
import torch

from siglip2_multimodal_hash.datasets.index import make_index
from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.features import runner
from siglip2_multimodal_hash.features.mapper import Mapper
from siglip2_multimodal_hash.features.reader import TextReader, read_batches
from siglip2_multimodal_hash.features.runner import embed_dataset
from siglip2_multimodal_hash.features.store import load_embeddings
from siglip2_multimodal_hash.features.towers import load_towers

CPU = torch.device("cpu")


@pytest.fixture
def embed(checkpoint, make_backbone, make_runtime, index, archive, open_images, tmp_path: Path):
    """Embed the tiny dataset into a folder of that name."""

    def run(name="embeddings", *, images=None, workers=0, batch_size=5, **changes):
        folder = tmp_path / "out" / name
        source = images or open_images(archive)
        backbone = make_backbone(checkpoint, **changes)
        embed_dataset(index, source, backbone, make_runtime(workers, batch_size), folder)
        return folder

    return run


def left_in(tmp_path: Path):
    """Names of the files in the place of the embeddings."""
    out = tmp_path / "out"
    return sorted(path.name for path in out.iterdir()) if out.exists() else []


class BrokenModel:
    """Gives NaN in the last row of one kind of output, from some call on."""

    def __init__(self, model, method, sound_calls) -> None:
        self.model, self.method, self.sound_calls = model, method, sound_calls

    def __getattr__(self, name):
        return getattr(self.model, name)

    def get_image_features(self, **inputs):
        return self.broken("get_image_features", inputs)

    def get_text_features(self, **inputs):
        return self.broken("get_text_features", inputs)

    def broken(self, method, inputs):
        output = getattr(self.model, method)(**inputs).pooler_output
        if method == self.method:
            self.sound_calls -= 1
            if self.sound_calls < 0:
                output[-1, 3] = torch.nan
        return output


@pytest.mark.parametrize(
    ("method", "sound_calls", "message"),
    [
        ("get_image_features", 1, r"image\.npy.* row 9\n"),
        ("get_text_features", 0, r"prompt\.npy.*'a photo of a \{\}\.'"),
        ("get_text_features", 3, r"caption\.npy.* row \d+\n"),  # one call for each template
    ],
)
def test_nan_from_a_tower_is_refused(
    embed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method, sound_calls, message
) -> None:
    def load(*arguments):
        towers = load_towers(*arguments)
        return dataclasses.replace(towers, model=BrokenModel(towers.model, method, sound_calls))

    monkeypatch.setattr(runner, "load_towers", load)
    with pytest.raises(DataError, match=message) as caught:
        embed()
    assert "backbone.amp_dtype" in str(caught.value)
    # The images are whole where only a caption fails; another amp_dtype will not go on with them.
    assert left_in(tmp_path) == (["embeddings.partial"] if "caption" in message else [])


@pytest.mark.parametrize("workers", [0, 2])
def test_ctrl_c_in_the_middle_leaves_no_folder(
    embed, open_images, archive, tmp_path: Path, workers
) -> None:
    class Interrupted:
        def read(self, name):
            if name.endswith("004.jpg"):
                raise KeyboardInterrupt
            return open_images(archive).read(name)

    with pytest.raises(KeyboardInterrupt):
        embed(images=Interrupted(), workers=workers, batch_size=2)
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("workers", [0, 2])
def test_every_bad_image_is_named_once(
    embed, archive, open_images, tmp_path: Path, workers
) -> None:
    class Damaged:
        def read(self, name):
            if name.endswith(("003.jpg", "011.jpg")):
                return b"no image at all"
            return open_images(archive).read(name)

    with pytest.raises(DataError) as caught:
        embed(images=Damaged(), workers=workers, batch_size=2)
    for name in ("val2014/003.jpg", "val2014/011.jpg"):
        assert str(caught.value).count(name) == 1
    assert left_in(tmp_path) == []


def test_a_tokenizer_that_confuses_classes_is_told_before_any_image_is_read(
    embed, tmp_path: Path
) -> None:
    class Untouched:
        def read(self, name) -> Never:
            raise AssertionError(name)

    with pytest.raises(InputError, match="the same tokens"):
        embed(images=Untouched(), text_max_length=2, prompt_templates=["a photo of a {}"])
    assert left_in(tmp_path) == []


def test_the_batch_size_changes_nothing_that_counts(embed) -> None:
    one, other = (load_embeddings(embed(str(size), batch_size=size)) for size in (1, 64))
    np.testing.assert_allclose(one.image, other.image, atol=1e-5)
    np.testing.assert_allclose(one.caption, other.caption, atol=1e-5)
    np.testing.assert_allclose(one.prompt, other.prompt, atol=1e-5)
    assert one.meta == other.meta


def test_one_image_with_one_caption_and_more_workers_than_batches(
    checkpoint, make_backbone, make_runtime, archive, open_images, tmp_path: Path
) -> None:
    columns = {"image_id": [1], "file_name": ["val2014/004.jpg"], "split": ["test"]}
    columns |= {name: [10] for name in ("width", "height", "bytes")}
    index = make_index(columns, [["a dog"]], np.ones((1, 1), np.uint8), (18,), ("dog",))
    folder = tmp_path / "embeddings"
    runtime = make_runtime(workers=3, batch_size=64)
    embed_dataset(index, open_images(archive), make_backbone(checkpoint), runtime, folder)
    stored = load_embeddings(folder)
    assert (len(stored.image), len(stored.caption), len(stored.prompt)) == (1, 1, 1)


def test_captions_scattered_to_their_rows_equal_each_caption_alone(
    checkpoint, make_backbone, index
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
