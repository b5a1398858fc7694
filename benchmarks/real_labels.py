"""The real labels of COCO 2014, as the folders that ``--annotations`` names hold them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.errors import DataError, InputError

LABELS_FILE = "labels80_trainval2014.npz"
CLASSES = 80


class RealLabels(NamedTuple):
    """All labelled images of train2014 and val2014."""

    ids: npt.NDArray[np.int64]  # [n]
    labels: npt.NDArray[np.uint8]  # [n, 80]
    is_val: npt.NDArray[np.bool_]  # [n]
    categories: list[tuple[int, str]]  # 80 ids and names, ascending

    def of(self, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Labels of some images, [len(ids), 80]; an image that is not here has none."""
        labels = np.zeros((len(ids), CLASSES), dtype=np.uint8)
        known = np.isin(ids, self.ids)
        labels[known] = self.labels[rows_of(self.ids, ids[known])]
        return labels


def rows_of(known: npt.NDArray[np.int64], ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Position of each of ``ids`` in ``known``, whose ids are in any order, each once.

    Raises:
        DataError: One is not there.
    """
    position = {one: row for row, one in enumerate(known.tolist())}
    if missing := [one for one in ids.tolist() if one not in position]:
        raise DataError(f"{len(missing)} images are not among the ids, such as {missing[0]}")
    return np.array([position[one] for one in ids.tolist()], dtype=np.int64)


def read_real_labels(folder: Path) -> RealLabels:
    """Read :data:`LABELS_FILE`.

    Raises:
        InputError: The folder does not hold it.
    """
    path = folder / LABELS_FILE
    if not path.is_file():
        raise InputError(
            f"{folder}: holds no {LABELS_FILE}", "name another folder for --annotations"
        )
    with np.load(path, allow_pickle=False) as stored:
        categories = zip(
            stored["category_ids"].tolist(), stored["category_names"].tolist(), strict=True
        )
        labels = np.unpackbits(stored["labels"], axis=1, count=CLASSES)
        return RealLabels(stored["ids"], labels, stored["is_val"], list(categories))
