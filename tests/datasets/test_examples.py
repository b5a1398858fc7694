"""The scripts in examples/, on made-up miniatures of the published layouts."""

from collections import Counter
from pathlib import Path

from examples import mirflickr25k, nuswide
from siglip2_multimodal_hash.datasets.folder import read_folder
from tests.datasets.test_folder import picture

SPLITS = {"test": 2, "train": 5, "database_val": 2}


def test_mirflickr(tmp_path: Path) -> None:
    photos, annotations = tmp_path / "mirflickr", tmp_path / "annotations"
    (photos / "meta/tags").mkdir(parents=True)
    annotations.mkdir()
    for number in range(1, 15):
        picture(photos / f"im{number}.jpg", number)
        words = "" if number == 3 else f"tag{number}\r\nström\r\n"
        (photos / f"meta/tags/tags{number}.txt").write_text(words, encoding="utf-8", newline="")
    listed = {"sky": range(1, 13), "plant_life": range(1, 13, 2), "sky_r1": (1,), "README": ()}
    for name, numbers in listed.items():
        lines = "".join(f"{number}\r\n" for number in numbers)
        (annotations / f"{name}.txt").write_text(lines or ("" if name != "README" else "Words"))
    mirflickr25k.convert(photos, annotations, SPLITS)
    found = read_folder(photos, 0)
    assert found.classes == ("plant life", "sky")
    assert [photo.file_name for photo in found.photos] == [f"im{n}.jpg" for n in range(1, 13)]
    assert found.photos[0].captions == ("tag1 ström",)
    assert found.photos[2].captions == ()
    assert found.photos[0].labels == ("plant life", "sky")
    assert Counter(one.split for one in found.split) == SPLITS | {"database": 3}


def test_nus_wide(tmp_path: Path) -> None:
    names = [f"{'actor' if n % 2 else 'zebra'}\\{n:04d}_21{n}.jpg" for n in range(14)]
    for folder in ("ImageList", "NUS_WID_Tags", "Groundtruth/AllLabels"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "ImageList/Imagelist.txt").write_text("\r\n".join(names) + "\r\n", newline="")
    tags = "".join(f"21{n}      cat straße{n} \n" if n else "210\n" for n in range(14))
    (tmp_path / "NUS_WID_Tags/All_Tags.txt").write_text(tags, encoding="utf-8")
    shown = {"sky": range(12), "water": range(1, 14, 2), "rare": (13,)}
    for name, numbers in shown.items():
        lines = "".join(f"{int(n in numbers)}\n" for n in range(14))
        (tmp_path / f"Groundtruth/AllLabels/Labels_{name}.txt").write_text(lines)
    for name in names[:13]:
        picture(tmp_path / "Flickr" / name.replace("\\", "/"))
    nuswide.convert(tmp_path, SPLITS, concepts=2)
    found = read_folder(tmp_path, 0)
    assert found.classes == ("sky", "water")
    # The last but one has no label, and the last one no file.
    assert len(found.photos) == 12
    assert found.photos[0].captions == ()
    assert found.photos[1].captions == ("cat straße1",)
    assert found.photos[1].labels == ("sky", "water")
    assert Counter(one.split for one in found.split) == SPLITS | {"database": 3}
