"""The outputs of a finished run, as far as a prediction needs them, and whether they fit together.

A run that was broken off leaves new files beside old ones; such a mixture predicts nonsense without
a sign of it, so what can be compared is compared.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.datasets.index import DatasetIndex, read_index
from siglip2_multimodal_hash.errors import DataError
from siglip2_multimodal_hash.evaluation.store import PREDICTORS
from siglip2_multimodal_hash.features.store import Embeddings, load_embeddings
from siglip2_multimodal_hash.files import read_json
from siglip2_multimodal_hash.models.network import HashNetwork
from siglip2_multimodal_hash.retrieval.checks import check_size
from siglip2_multimodal_hash.retrieval.index import CodeIndex, load_index
from siglip2_multimodal_hash.retrieval.index_kinds import Kind
from siglip2_multimodal_hash.retrieval.store import HeadCodes, read_head_codes
from siglip2_multimodal_hash.training.checkpoint import load_head
from siglip2_multimodal_hash.training.splits import CaptionPolicy, encode_embeddings

REMEDY = "run `dvc repro`"
INDEX = "index.parquet"
# Other kernels move a soft code by some 1e-6; another head, by about 1.
_SAME_CODE = 1e-2


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """What a prediction needs of a run.

    Attributes:
        dataset: The index of the dataset.
        database: int64 [N], its rows that are searched.
        embeddings: Of the dataset, mapped.
        network: The head, on the CPU.
        codes: Of all rows of the dataset.
        faiss: Over the codes of ``database``.
        thresholds: Of each predictor, tuned on val.
    """

    dataset: DatasetIndex
    database: npt.NDArray[np.int64]
    embeddings: Embeddings
    network: HashNetwork
    codes: HeadCodes
    faiss: CodeIndex
    thresholds: dict[str, float]


def load_run(data: Path, outputs: Path, policy: CaptionPolicy, kind: Kind) -> FinishedRun:
    """Read the outputs and make sure that they belong together.

    Args:
        data: The dataset's folder, with ``index.parquet``.
        outputs: The folder of the dataset and backbone.
        policy: ``dataset.eval_caption``.
        kind: Of the index, as params.yaml asks for it.

    Raises:
        DataError: Outputs are missing (all of them are named), damaged, or of different runs.
    """
    _check_present(data, outputs)
    dataset = read_index(data / INDEX)
    database = dataset.rows("database")
    embeddings = load_embeddings(outputs / "embeddings")
    network, _ = load_head(outputs / "head")
    codes = read_head_codes(outputs / "codes")
    rows = len(dataset.frame)
    check_size("rows of the codes", len(codes.soft), "of the index", rows)
    check_size("rows of the embeddings", len(embeddings.image), "of the index", rows)
    check_size("captions embedded", len(embeddings.caption), "in the index", _captions(dataset))
    _check_code(outputs, network, embeddings, codes, policy)
    faiss = load_index(outputs / "database.faiss", codes.searchable()[database], kind)
    thresholds = _thresholds(outputs / "evaluation" / "figures.json")
    return FinishedRun(dataset, database, embeddings, network, codes, faiss, thresholds)


def _check_present(data: Path, outputs: Path) -> None:
    needed = (
        data / INDEX,
        *(outputs / name for name in ("towers", "embeddings", "head", "codes")),
        outputs / "database.faiss",
        outputs / "evaluation" / "figures.json",
    )
    missing = [str(path) for path in needed if not path.exists()]
    if missing:
        raise DataError(
            "no finished run of this dataset and backbone: missing " + ", ".join(missing), REMEDY
        )


def _captions(dataset: DatasetIndex) -> int:
    return int(dataset.caption_offsets()[-1])


def _check_code(
    outputs: Path,
    network: HashNetwork,
    embeddings: Embeddings,
    codes: HeadCodes,
    policy: CaptionPolicy,
) -> None:
    """Encode the first image again: another head, or other embeddings, made another code."""
    end = int(embeddings.caption_offsets[1])
    first = Embeddings(
        embeddings.image[:1],
        embeddings.caption[:end],
        embeddings.caption_offsets[:2],
        embeddings.prompt,
        embeddings.meta,
    )
    widths = {"image": first.image.shape[1], "caption": first.caption.shape[1]}
    config = network.config
    for name, expected in (("image", config.image_dim), ("caption", config.caption_dim)):
        check_size(f"width of the {name} embeddings", widths[name], "in the head", expected)
    soft, _ = encode_embeddings(network, first, policy, 1)
    stored = codes.soft[:1]
    if soft.shape != stored.shape or not np.allclose(soft, stored, atol=_SAME_CODE):
        raise DataError(
            f"{outputs / 'codes'}: not what the head in {outputs / 'head'} makes of the embeddings "
            "with the dataset.eval_caption of params.yaml: they are of different runs",
            REMEDY,
        )


def _thresholds(path: Path) -> dict[str, float]:
    figures: Any = read_json(path)
    try:
        return {name: float(figures[name]["threshold"]["tuned"]) for name in PREDICTORS}
    except (KeyError, TypeError, ValueError):
        raise DataError(f"{path}: holds no tuned thresholds", REMEDY) from None


def check_towers(stored: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> None:
    """Make sure that photos go through the towers that the database went through.

    Args:
        stored: The ``meta.json`` of the embeddings.
        now: What :func:`.meta.describe` says of the loaded towers.
        folder: Of the embeddings, for the message.

    Raises:
        DataError: They differ; the message names the first thing that does.
    """
    decisive = ("weights_sha256", "commit", "model_type", "max_num_patches", "text_max_length")
    # A folder of the same weights may have moved; a name on the hub is all that there is.
    names = () if now["weights_sha256"] else ("checkpoint", "revision")
    for key in (*names, *decisive, "image_processor", "amp_dtype"):
        if stored.get(key) != now[key]:
            raise DataError(
                f"{folder}: made with {key} = {stored.get(key)}, params.yaml now means {now[key]}",
                REMEDY,
            )
