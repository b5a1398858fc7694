"""Decoding to RGB: every pixel type that a photograph may have, and damage of every kind."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from siglip2_multimodal_hash.datasets.images import decode_rgb
from siglip2_multimodal_hash.errors import DataError


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def photo(width: int = 32, height: int = 24) -> Image.Image:
    """A smooth picture, which JPEG keeps nearly as it is."""
    y, x = np.mgrid[0:height, 0:width]
    channels = np.stack([x * 255 // width, y * 255 // height, (x + y) * 4], axis=-1)
    return Image.fromarray(channels.astype(np.uint8))


def decoded(data: bytes) -> np.ndarray[Any, np.dtype[np.int16]]:
    image = decode_rgb(data, "x.jpg")
    assert image.mode == "RGB"
    return np.asarray(image).astype(np.int16)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True}])
def test_jpeg(options: dict[str, bool]) -> None:
    found = decoded(encode(photo(), "JPEG", quality=95, subsampling=0, **options))
    assert np.abs(found - np.asarray(photo()).astype(np.int16)).max() <= 8


def test_grey_becomes_three_equal_channels() -> None:
    grey = photo().convert("L")
    for kind in ("PNG", "JPEG"):
        found = decoded(encode(grey, kind))
        assert (found[..., 0] == found[..., 1]).all()
        assert (found[..., 0] == found[..., 2]).all()


# Red ink-free of cyan, and a dark tone that needs the black channel.
INKS = [((0, 255, 255, 0), (255, 0, 0)), ((0, 0, 0, 200), (55, 55, 55)), ((0, 0, 0, 0), (255,) * 3)]


@pytest.mark.parametrize(("ink", "colour"), INKS)
def test_cmyk_jpeg_by_adobes_convention(ink: tuple[int, ...], colour: tuple[int, ...]) -> None:
    data = encode(Image.new("CMYK", (16, 16), ink), "JPEG", quality=95)
    assert b"Adobe" in data
    assert np.abs(decoded(data) - np.array(colour)).max() <= 4


@pytest.mark.parametrize(("ink", "colour"), INKS)
def test_ycck_jpeg_by_adobes_convention(ink: tuple[int, ...], colour: tuple[int, ...]) -> None:
    # Pillow writes no YCCK: store what YCCK stores (the colour transform of C, M, Y; K inverted)
    # as plain CMYK, whose samples Pillow inverts, and mark it as transformed.
    y, cb, cr = np.asarray(Image.new("RGB", (1, 1), ink[:3]).convert("YCbCr"))[0, 0].tolist()
    samples = Image.new("CMYK", (16, 16), (255 - y, 255 - cb, 255 - cr, ink[3]))
    data = bytearray(encode(samples, "JPEG", quality=95))
    data[data.index(b"Adobe") + 11] = 2
    assert np.abs(decoded(bytes(data)) - np.array(colour)).max() <= 6


def test_palette_with_and_without_transparency() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    assert decoded(encode(image)).tolist() == [[[255, 0, 0], [0, 0, 255]]]
    assert decoded(encode(image, transparency=1)).tolist() == [[[255, 0, 0], [255, 255, 255]]]


def test_transparency_shows_white() -> None:
    image = Image.new("RGBA", (3, 1), (10, 20, 30, 255))
    image.putpixel((1, 0), (10, 20, 30, 0))
    image.putpixel((2, 0), (0, 0, 0, 128))
    assert decoded(encode(image)).tolist() == [[[10, 20, 30], [255, 255, 255], [127, 127, 127]]]
    grey = Image.new("LA", (1, 1), (10, 0))
    assert decoded(encode(grey)).tolist() == [[[255, 255, 255]]]


def test_16_bit_grey_is_scaled() -> None:
    ramp = (np.arange(256) * 257).astype(np.uint16).reshape(16, 16)
    found = decoded(encode(Image.fromarray(ramp)))
    assert found[..., 1].ravel().tolist() == list(range(256))


def test_16_bit_colour() -> None:
    pixels = np.array([[[0, 128 * 257, 65535]]], dtype=">u2")
    rows = zlib.compress(b"\0" + pixels.tobytes())
    assert decoded(png(1, 1, rows, depth=16)).tolist() == [[[0, 128, 255]]]


def png(width: int, height: int, rows: bytes, *, depth: int = 8) -> bytes:
    """A PNG of RGB pixels by hand, whatever its header says."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def test_orientation_is_left_as_stored() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode_rgb(encode(photo(32, 24), "JPEG", exif=exif), "x.jpg").size == (32, 24)


def test_of_several_frames_the_first_counts() -> None:
    first, second = Image.new("RGB", (8, 8), "black"), Image.new("RGB", (8, 8), "white")
    for kind in ("MPO", "GIF"):
        data = encode(first, kind, save_all=True, append_images=[second])
        assert decoded(data).max() <= 2


@pytest.mark.parametrize("data", [b"", b"<html>404</html>", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"II*\0"])
def test_what_is_no_image_is_named(data: bytes) -> None:
    with pytest.raises(DataError, match=r"x\.jpg: not a readable image \(no known image format\)"):
        decode_rgb(data, "x.jpg")


@pytest.mark.parametrize("progressive", [False, True])
def test_every_truncation_of_a_jpeg_is_detected(progressive: bool) -> None:
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False
    data = encode(photo(), "JPEG", progressive=progressive)
    assert decode_rgb(data, "x.jpg").size == (32, 24)
    for length in range(len(data)):
        with pytest.raises(DataError, match=r"x\.jpg: (not a readable image|truncated)"):
            decode_rgb(data[:length], "x.jpg")


def test_a_tail_of_zeros_is_a_truncation() -> None:
    data = encode(photo(), "JPEG")
    with pytest.raises(DataError, match=r"x\.jpg: (not a readable image|truncated)"):
        decode_rgb(data[:-40] + bytes(40), "x.jpg")


def test_trailing_bytes_are_no_damage() -> None:
    assert decode_rgb(encode(photo(), "JPEG") + b"\0\0note", "x.jpg").size == (32, 24)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [10_000, 20_000, 2**30])
def test_a_decompression_bomb_is_refused(side: int) -> None:
    with pytest.raises(DataError, match=r"x\.png: .*pixels"):
        decode_rgb(png(side, side, zlib.compress(bytes(100))), "x.png")


@pytest.mark.filterwarnings("error::PIL.Image.DecompressionBombWarning")
def test_the_bomb_warning_as_an_error_is_caught_too() -> None:
    with pytest.raises(DataError, match="pixels"):
        decode_rgb(png(10_000, 10_000, b""), "x.png")


ORIGINALS = [encode(photo(), kind) for kind in ("JPEG", "PNG", "GIF", "BMP", "WEBP")]


@settings(max_examples=300)
@given(st.sampled_from(ORIGINALS), st.data())
@pytest.mark.filterwarnings("ignore")
def test_damaged_bytes_give_an_image_or_a_named_error(original: bytes, data: st.DataObject) -> None:
    damaged = bytearray(original)
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    complaint = "x.jpg: "
    try:
        image = decode_rgb(bytes(damaged), "x.jpg")
    except DataError as error:
        complaint = str(error)
    else:
        assert image.mode == "RGB"
    assert complaint.startswith("x.jpg: ")
