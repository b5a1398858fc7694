"""Scenes, pictures and captions of the synthetic dataset."""

import re
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siglip2_multimodal_hash.datasets import mojicoco
from siglip2_multimodal_hash.datasets.mojicoco import (
    CATEGORIES,
    TOWER_STREAM,
    alt_text,
    render_scene,
    sample_scene,
)
from siglip2_multimodal_hash.datasets.mojicoco.artwork import ARTWORKS, CLUTTER, PEOPLE, THINGS
from siglip2_multimodal_hash.datasets.mojicoco.backgrounds import CANVAS
from siglip2_multimodal_hash.datasets.mojicoco.categories import PERSON
from siglip2_multimodal_hash.datasets.mojicoco.objects import LEAST_VISIBLE
from siglip2_multimodal_hash.datasets.mojicoco.scenes import Scene
from siglip2_multimodal_hash.datasets.mojicoco.sprites import placed
from siglip2_multimodal_hash.datasets.mojicoco.vocabulary import NOUNS, article, counted, noun

STREAM = 7


@cache
def scenes() -> list[Scene]:
    """A sample, drawn when the first test asks for it."""
    return [sample_scene(STREAM, number) for number in range(500)]


def lexicon() -> dict[str, int]:
    """Every word that names a category, with the category's id."""
    words = {category.name: category.id for category in CATEGORIES}
    words |= {form: c for c, forms in NOUNS.items() for pair in forms for form in pair}
    for art in (*THINGS, *PEOPLE):
        for pair in art.nouns:
            for form in pair:
                assert words.setdefault(form, art.category_id) == art.category_id, form
    return words


LEXICON = lexicon()
NAMES = re.compile(
    r"\b(" + "|".join(sorted(map(re.escape, LEXICON), key=len, reverse=True)) + r")\b"
)


def named(text: str) -> set[int]:
    return {LEXICON[word] for word in NAMES.findall(text.lower())}


def test_categories_are_those_of_coco() -> None:
    ids = [category.id for category in CATEGORIES]
    assert len(ids) == 80
    assert ids == sorted(set(ids))
    assert (ids[0], ids[-1]) == (1, 90)
    assert len({category.supercategory for category in CATEGORIES}) == 12


def test_every_artwork_draws_something_and_serves_one_category() -> None:
    keys = [art.key for art in (*THINGS, *PEOPLE)]
    assert len(keys) == len(set(keys))
    assert not set(keys) & {art.key for arts in CLUTTER.values() for art in arts}
    drawn = {art.drawing for art in THINGS if art.drawing is not None}
    files = {path.name for path in Path(mojicoco.__file__).with_name("drawings").glob("*.png")}
    assert {f"{name}.png" for name in drawn} == files, "a drawing is missing or serves nothing"
    assert {art.category_id for art in (*THINGS, *PEOPLE)} == {c.id for c in CATEGORIES}
    looks: Counter[bytes] = Counter()
    for key in ARTWORKS:
        image, _, _ = placed(key, (16.0, 16.0), 24.0, 0.0, False, mask=False)
        alpha = np.asarray(image)[..., 3]
        assert (alpha >= 128).sum() >= 24, key
        looks[image.tobytes()] += 1
    assert max(looks.values()) == 1, "two keys draw the same: a glyph is missing from the font"


def test_the_same_numbers_give_the_same_scene_and_pixels() -> None:
    for number in range(5):
        first, second = (sample_scene(STREAM, number) for _ in range(2))
        assert first == second
        assert np.array_equal(render_scene(first).image, render_scene(second).image)


def test_streams_and_numbers_give_different_scenes() -> None:
    scenes = [sample_scene(s, n) for s in (0, 1, TOWER_STREAM) for n in range(20)]
    assert len({(scene.background, scene.objects) for scene in scenes}) == len(scenes)


@pytest.mark.parametrize("key", [(-1, 0), (0, 1 << 64)])
def test_numbers_out_of_range_are_refused(key: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="integers"):
        sample_scene(*key)


@settings(max_examples=60)
@given(
    stream=st.integers(0, 2**64 - 1),
    number=st.integers(0, 2**64 - 1),
    size=st.sampled_from([64, 128, 160]),
)
def test_any_scene_is_sound(stream: int, number: int, size: int) -> None:
    scene = sample_scene(stream, number)
    assert len(scene.captions) == 5
    assert all(text.endswith(".") and text[0].isupper() for text in scene.captions)
    assert "  " not in " ".join(scene.captions)
    assert all(LEAST_VISIBLE <= thing.visible <= 1 for thing in scene.objects)
    assert sum(thing.category_id > 0 for thing in scene.objects) <= 7
    rendered = render_scene(scene, size)
    assert rendered.image.shape == (size, size, 3)
    assert rendered.image.dtype == np.uint8
    assert {thing.category_id for thing in rendered.objects} == set(scene.labels)
    for thing in rendered.objects:
        left, top, width, height = thing.bbox
        assert 0 <= left < left + width <= size
        assert 0 <= top < top + height <= size
        assert 0 < thing.area <= width * height


def test_captions_name_only_what_is_seen() -> None:
    for scene in scenes():
        texts = [*scene.captions, alt_text(scene, np.random.default_rng(scene.number))]
        for text in texts:
            assert named(text) <= set(scene.labels), (text, scene.labels)


def test_captions_name_some_objects_but_not_all() -> None:
    occurrences = sum(len(scene.labels) for scene in scenes())
    by_any = sum(len(set().union(*map(named, scene.captions))) for scene in scenes())
    by_one = sum(len(named(text)) for scene in scenes() for text in scene.captions) / 5
    assert 0.55 <= by_any / occurrences <= 0.67
    assert 0.35 <= by_one / occurrences <= 0.5


def test_alt_texts_name_one_to_four_things() -> None:
    counts = Counter(
        len(named(alt_text(scene, np.random.default_rng(scene.number))))
        for scene in scenes()
        if scene.labels
    )
    assert set(counts) == {1, 2, 3, 4}


def test_frequencies_have_coco_s_long_tail() -> None:
    positives = Counter(label for scene in scenes() for label in scene.labels)
    assert 0.42 <= positives[PERSON] / len(scenes()) <= 0.58
    assert positives.most_common(1)[0][0] == PERSON
    assert len(positives) == 80
    tail = sorted(positives.values())
    assert np.median(tail) * 12 < positives[PERSON]
    labels = np.mean([len(scene.labels) for scene in scenes()])
    assert 2.6 <= labels <= 3.3
    several = [len(s.labels) < sum(o.category_id > 0 for o in s.objects) for s in scenes()]
    assert 0.3 <= np.mean(several) <= 0.8


def test_objects_have_the_sizes_and_clutter_that_were_asked_for() -> None:
    sizes = [o.size for scene in scenes() for o in scene.objects if o.category_id]
    assert min(sizes) >= 16
    assert max(sizes) <= 82
    assert np.mean([26 <= size <= 80 for size in sizes]) > 0.85
    assert 0.5 < np.mean([any(not o.category_id for o in s.objects) for s in scenes()]) < 0.95
    assert all(-0.1 * CANVAS < o.x < 1.1 * CANVAS for s in scenes() for o in s.objects)


def test_pairs_are_described_as_pairs() -> None:
    verbs = Counter(scene.pairing.verb for scene in scenes() if scene.pairing is not None)
    assert {"riding", "holding", "sitting on"} <= set(verbs)
    texts = " ".join(text for scene in scenes() for text in scene.captions)
    assert " riding " in texts
    assert " holding " in texts


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("dog", "a dog"),
        ("orange", "an orange"),
        ("umbrella", "an umbrella"),
        ("old man", "an old man"),
        ("unicycle", "a unicycle"),
        ("hour glass", "an hour glass"),
    ],
)
def test_article(phrase: str, expected: str) -> None:
    assert article(phrase) == expected


@pytest.mark.parametrize(
    ("word", "count", "expected"),
    [
        ("dog", 1, "a dog"),
        ("dog", 2, "two dogs"),
        ("knife/knives", 3, "three knives"),
        ("sheep/sheep", 4, "four sheep"),
        ("bus/buses", 6, "six buses"),
        ("person/people", 9, "several people"),
    ],
)
def test_counted(word: str, count: int, expected: str) -> None:
    assert counted(*noun(word), count) == expected


def test_plurals_that_captions_may_use() -> None:
    plurals = {pair[0]: pair[1] for forms in NOUNS.values() for pair in forms}
    for singular, plural in (
        ("bench", "benches"),
        ("couch", "couches"),
        ("sandwich", "sandwiches"),
        ("toothbrush", "toothbrushes"),
        ("wine glass", "wine glasses"),
        ("pair of scissors", "pairs of scissors"),
        ("mouse", "mice"),
    ):
        assert plurals[singular] == plural
    irregular = ("ss", "sh", "ch", "x")
    assert not [s for s, p in plurals.items() if s.endswith(irregular) and p == s + "s"]
