"""A database with nothing but embeddings in it, for what looks at nothing else."""

from typing import Any

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.datasets.index import make_index
from siglip2_multimodal_hash.features.store import Embeddings
from siglip2_multimodal_hash.prediction.database import Database

FloatArray = npt.NDArray[np.float32]


def database_of(splits: list[str], image: FloatArray, caption: FloatArray) -> Database:
    """N images of these splits with as many captions each; image [N, D_i], caption [M, D_t]."""
    count, each = len(splits), len(caption) // len(splits)
    columns: dict[str, Any] = {name: [1] * count for name in ("width", "height", "bytes")}
    columns |= {"image_id": range(count), "file_name": ["a.jpg"] * count, "split": splits}
    dataset = make_index(
        columns, [["a"] * each] * count, np.ones((count, 1), np.uint8), (1,), ("person",)
    )
    offsets = np.arange(0, len(caption) + 1, each)
    embeddings = Embeddings(image, caption, offsets, np.zeros((1, 3), dtype=np.float32), {})
    unused: Any = None
    return Database(dataset, dataset.rows("database"), embeddings, unused, unused, {})
