"""Images of all shapes and kinds: real photographs, and what can be cut out of one of them."""

import io
from importlib import resources

from PIL import Image

# Real photographs that installed packages bring: 640 x 427, 640 x 427 and 512 x 600.
PHOTOGRAPHS = {
    "china.jpg": ("sklearn.datasets.images", "china.jpg"),
    "flower.jpg": ("sklearn.datasets.images", "flower.jpg"),
    "portrait.jpg": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
}


def photographs() -> dict[str, bytes]:
    """Files by name: the photographs as they are, and what can be cut out of one of them."""
    files = {
        name: (resources.files(package) / path).read_bytes()
        for name, (package, path) in PHOTOGRAPHS.items()
    }
    with Image.open(io.BytesIO(files["china.jpg"])) as opened:
        photo = opened.convert("RGB")
    made = {
        "grey.jpg": photo.convert("L"),
        "cmyk.jpg": photo.crop((0, 0, 200, 300)).convert("CMYK"),
        "panorama.jpg": photo.crop((0, 200, 640, 240)),
        "tower.jpg": photo.crop((300, 0, 331, 427)),
        "square.png": photo.crop((0, 0, 256, 256)),
        "palette.png": photo.crop((100, 100, 350, 250)).quantize(64),
        "small.png": photo.crop((320, 100, 327, 103)),
        "pixel.png": photo.crop((320, 100, 321, 101)),
    }
    return files | {name: _encoded(image, name) for name, image in made.items()}


def _encoded(image: Image.Image, name: str) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG" if name.endswith(".jpg") else "PNG")
    return stream.getvalue()
