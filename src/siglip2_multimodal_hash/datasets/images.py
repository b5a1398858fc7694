"""Images of a dataset by name, decoded to RGB, from folders or from archives read in place."""

import io
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from PIL import Image, ImageOps, UnidentifiedImageError

from siglip2_multimodal_hash.datasets.containers import Container, open_container
from siglip2_multimodal_hash.datasets.layout import layout_of, split_file_name
from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.params import DatasetKind

# 268 MB of RGB; COCO's largest image has 640 x 640 pixels. It is Pillow's own limit, as an error
# instead of a warning.
MAX_PIXELS = 2**28 // 3
# MPO opens as JPEG. Others are never tried: some are programs (EPS), some make Pillow raise
# anything at all when damaged (TIFF).
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")

_EXPECTED_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
_REMEDY = "the file is damaged: fetch it again"


class ImageSource(Protocol):
    """Images by the name that the index gives them. Picklable; safe to use after a fork."""

    def open(self, file_name: str) -> Image.Image:
        """The decoded image, mode RGB.

        Args:
            file_name: The name under ``images/``, e.g. ``val2014/COCO_val2014_000000000139.jpg``.

        Raises:
            DataError: The name is unsafe, or the file is missing, truncated or no image.
        """

    def read(self, file_name: str) -> bytes:
        """The bytes of the file as stored.

        Raises:
            DataError: The name is unsafe, or the file is missing or cannot be read.
        """

    def decode(self, data: bytes, file_name: str) -> Image.Image:
        """The image of what :meth:`read` gave, as :meth:`open` does; any number at a time.

        Raises:
            DataError: The bytes are truncated or no image.
        """


class ContainedImages:
    """The :class:`ImageSource` over a container (folder or archive) for each folder of images."""

    def __init__(self, containers: Mapping[str, Container], *, upright: bool = False) -> None:
        self._containers = dict(containers)
        self._decode = decode_upright if upright else decode_rgb

    def open(self, file_name: str) -> Image.Image:
        """See :class:`ImageSource`."""
        return self.decode(self.read(file_name), file_name)

    def decode(self, data: bytes, file_name: str) -> Image.Image:
        """See :class:`ImageSource`."""
        return self._decode(data, file_name)

    def read(self, file_name: str) -> bytes:
        """See :class:`ImageSource`."""
        folder, name = split_file_name(file_name, self._containers)
        return self._containers[folder].read(name)

    def locate(self, file_name: str) -> Path:
        """The path of the file, whether or not it is there.

        Args:
            file_name: As for :meth:`open`.

        Raises:
            DataError: The name is unsafe, or the images lie in an archive, so that there is none.
        """
        folder, name = split_file_name(file_name, self._containers)
        return self._containers[folder].locate(name)


def open_image_source(root: Path, kind: DatasetKind = "coco2014") -> ContainedImages:
    """The images under ``root``, wherever :mod:`.layout` allows them for this kind of dataset.

    Raises:
        DataError: A folder of images is missing.
    """
    containers = layout_of(kind).images(root)
    # A camera's photos say which side is up; COCO's boxes refer to the pixels as stored.
    return ContainedImages(
        {
            folder: open_container(path, folder, containers.get(""))
            for folder, path in containers.items()
        },
        upright=kind == "folder",
    )


def decode_rgb(data: bytes, name: str) -> Image.Image:
    """Decode the bytes of an image file to RGB, 8 bits per channel.

    The orientation tag is not applied: COCO's boxes refer to the pixels as stored. Transparent
    pixels show white; 16-bit grey is scaled to 8 bits (Pillow's own conversion clips it); of a
    file with several frames the first counts.

    Args:
        data: The whole file.
        name: Its name in messages.

    Raises:
        DataError: The bytes are truncated, damaged, too large, or no image of :data:`FORMATS`.
        InputError: See :func:`explained_memory`.
    """
    try:
        with (
            Image.open(io.BytesIO(data), formats=FORMATS) as image,
            explained_memory(name, image.size),
        ):
            if image.width * image.height > MAX_PIXELS:
                raise DataError(
                    f"{name}: {image.width} x {image.height} pixels, above the limit of "
                    f"{MAX_PIXELS} per image",
                    "no photo is that large: check the file",
                )
            # Whole, not by libjpeg's scaled decoding (Pillow's `draft`): resized pixels would then
            # be others, by up to 70 of 255 on COCO's photos.
            image.load()
            if image.format in {"JPEG", "MPO"} and not _has_end(data):
                raise DataError(f"{name}: truncated: the end-of-image marker is missing", _REMEDY)
            return _to_rgb(image)
    except _EXPECTED_DAMAGE as error:
        raise DataError(f"{name}: not a readable image ({_reason(error)})", _REMEDY) from None


def decode_upright(data: bytes, name: str) -> Image.Image:
    """The image of :func:`decode_rgb`, turned as its orientation tag says."""
    image = decode_rgb(data, name)
    try:
        with explained_memory(name, image.size):
            return ImageOps.exif_transpose(image)
    # Whatever a camera wrote there: without a readable tag the pixels stay as they are.
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, OverflowError):
        return image


def stored_size(images: ImageSource, file_name: str) -> tuple[int, int]:
    """Width and height from the head of an image file; (1, 1) where that cannot be read.

    What is damaged is named, or dropped, by whoever decodes all images, by ``dataset.on_corrupt``.
    """
    try:
        with Image.open(io.BytesIO(images.read(file_name)), formats=FORMATS) as image:
            return image.size
    except (DataError, *_EXPECTED_DAMAGE):
        return 1, 1


@contextmanager
def explained_memory(name: str, size: tuple[int, int]) -> Iterator[None]:
    """Turn a lack of main memory into a message about the image that the block works on.

    Args:
        name: Of the image, or of the largest of several.
        size: Its width and height.

    Raises:
        InputError: Memory ran out. No :class:`DataError`: the image itself is sound.
    """
    try:
        yield
    except MemoryError:
        width, height = size
        raise InputError(
            f"{name}: out of memory with this image of {width} x {height} pixels",
            "lower runtime.dataloader.embed_batch_size or num_workers, close other "
            "programs, or make the image smaller",
        ) from None


def _has_end(jpeg: bytes) -> bool:
    """Test whether an end-of-image marker follows the last start of scan.

    The decoder stops at the last row, so it does not notice a tail that is cut within its last
    block or was filled with zeros by a broken download.
    """
    return jpeg.find(b"\xff\xd9", jpeg.rfind(b"\xff\xda")) >= 0


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return image.convert("I").point(lambda value: value * (1 / 257)).convert("RGB")
    if image.has_transparency_data:
        opaque = Image.new("RGBA", image.size, "white")
        opaque.alpha_composite(image.convert("RGBA"))
        return opaque.convert("RGB")
    # CMYK included: Pillow reads CMYK and YCCK JPEGs by Adobe's inverted convention. RGB as it is:
    # Pillow's copy would take a tenth of the decoding again.
    return image if image.mode == "RGB" else image.convert("RGB")


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "no known image format"
    return str(error) or type(error).__name__
