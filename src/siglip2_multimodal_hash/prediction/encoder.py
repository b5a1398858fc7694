"""Photos to codes and scores: the towers and the head of a finished run.

A run that was broken off leaves new files beside old ones; such a mixture predicts nonsense without
a sign of it, so what can be compared is compared.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from siglip2_multimodal_hash.arrays import check_size, load_array
from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.features.devices import choose_device
from siglip2_multimodal_hash.features.lean_loading import load_towers_leanly
from siglip2_multimodal_hash.features.store import Embeddings, load_embeddings
from siglip2_multimodal_hash.features.tuned import embedded_backbone
from siglip2_multimodal_hash.models.config import HeadConfig
from siglip2_multimodal_hash.models.network import HashNetwork
from siglip2_multimodal_hash.params import CaptionPolicy, Params
from siglip2_multimodal_hash.prediction.embedding import embed_caption
from siglip2_multimodal_hash.prediction.outputs import REMEDY, RunOutputs
from siglip2_multimodal_hash.training.checkpoint import load_head
from siglip2_multimodal_hash.training.inference import encode_dataset

if TYPE_CHECKING:
    from siglip2_multimodal_hash.features.towers import Towers

FloatArray = npt.NDArray[np.float32]

# Other kernels move a soft code by some 1e-6; another head, by about 1.
_SAME_CODE = 1e-2


@dataclass(frozen=True, eq=False)
class Encoder:
    """Towers and head on one device.

    Attributes:
        towers: Those that the database went through.
        network: The head.
        stored: dtype of the database's embeddings: photos are rounded likewise.
    """

    towers: "Towers"
    network: HashNetwork
    stored: np.dtype[Any]

    def round(self, v: FloatArray) -> FloatArray:
        """Embeddings as they would come back from their file."""
        return v.astype(self.stored).astype(np.float32)

    def embed_caption(self, caption: str) -> FloatArray:
        """Float32 [1, D_t]."""
        return self.round(embed_caption(self.towers, caption))

    def encode(
        self, v_img: FloatArray, v_txt: FloatArray, batch_size: int
    ) -> tuple[FloatArray, FloatArray]:
        """Soft codes and scores; see :func:`.inference.encode_dataset`."""
        return encode_dataset(self.network, v_img, v_txt, batch_size)


def load_fitted_head(outputs: RunOutputs, policy: CaptionPolicy) -> tuple[HashNetwork, Embeddings]:
    """The head, on the CPU, and the embeddings that it was fitted on.

    Raises:
        DataError: They are damaged, or the codes are not what this head makes of the embeddings.
    """
    network, config = load_head(outputs.head)
    embeddings = load_embeddings(outputs.embeddings)
    for name, array, expected in (
        ("image", embeddings.image, config.image_dim),
        ("caption", embeddings.caption, config.caption_dim),
    ):
        check_size(f"width of the {name} embeddings", array.shape[1], "in the head", expected)
    _check_code(outputs, network, embeddings, policy)
    return network, embeddings


def load_encoder(
    params: Params, outputs: RunOutputs, network: HashNetwork, meta: Mapping[str, Any]
) -> Encoder:
    """Load the towers that the database went through.

    Args:
        params: Whole.
        outputs: Of the run.
        network: The head; moved to the device of the towers.
        meta: What the embeddings' ``meta.json`` says.

    Raises:
        DataError: The towers of params.yaml are others.
        InputError: See :func:`.towers.load_towers`.
    """
    backbone = embedded_backbone(params, outputs.towers)
    device = choose_device(params.runtime.device)
    towers = load_towers_leanly(backbone, device)
    # Not before: it imports transformers.
    from siglip2_multimodal_hash.features.meta import describe

    check_towers(meta, describe(backbone, towers, {}), outputs.embeddings)
    return Encoder(towers, network.to(device), np.dtype(meta["dtype"]))


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
    for key in (*names, *decisive, "image_processor", "amp_dtype", "dtype"):
        if stored.get(key) != now[key]:
            # Of what is compared, this is another release of transformers', unseen by DVC.
            forced = "run `dvc repro --force --single-item embed`, then `dvc repro`"
            raise DataError(
                f"{folder}: made with {key} = {stored.get(key)}, params.yaml now means {now[key]}",
                forced if key == "image_processor" else REMEDY,
            )


def check_caption(head: HeadConfig, caption: str | None) -> None:
    """Refuse what leaves the head nothing to see.

    Raises:
        InputError: The head takes captions alone, and there is none; or the caption is blank or
            not UTF-8.
    """
    if caption is not None and not caption.strip():
        raise InputError("--caption is blank", "leave it out, or describe the photo")
    # Other bytes than UTF-8 on the command line reach Python as lone surrogates.
    if caption is not None and any("\ud800" <= letter <= "\udfff" for letter in caption):
        raise InputError("--caption is not UTF-8", "set the terminal to UTF-8, or leave it out")
    if caption is None and head.modalities == "caption":
        raise InputError(
            "fusion.modalities = caption: this head takes captions alone, and there is none",
            "add --caption, or fit a head with `smhash use -S fusion.modalities=image "
            "-S fusion.type=concat && dvc repro`",
        )


def _check_code(
    outputs: RunOutputs, network: HashNetwork, embeddings: Embeddings, policy: CaptionPolicy
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
    soft, _ = encode_dataset(network, first.image, first.captions_by_policy(policy), 1)
    stored = load_array(outputs.codes / "soft.npy", memory_map=True)[:1]
    if soft.shape != stored.shape or not np.allclose(soft, stored, atol=_SAME_CODE):
        raise DataError(
            f"{outputs.codes}: not what the head in {outputs.head} makes of the embeddings with "
            "the dataset.eval_caption of params.yaml: they are of different runs",
            REMEDY,
        )
