"""Photos and captions to codes and scores: the towers and the head of a finished run.

An interrupted run leaves new files among old ones; such a mixture predicts nonsense and shows no
sign of it, so all that can be compared is compared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from siglip2_multimodal_hash.arrays import Vectors, check_size, load_array
from siglip2_multimodal_hash.datasets.images import explained_memory
from siglip2_multimodal_hash.device import choose_device
from siglip2_multimodal_hash.errors import DataError, InputError
from siglip2_multimodal_hash.features.meta import describe
from siglip2_multimodal_hash.features.store import Embeddings
from siglip2_multimodal_hash.features.towers import Towers, load_towers
from siglip2_multimodal_hash.features.tuned import embedded_backbone
from siglip2_multimodal_hash.models.config import HeadConfig
from siglip2_multimodal_hash.models.network import HashNetwork
from siglip2_multimodal_hash.params import CaptionPolicy, Params
from siglip2_multimodal_hash.prediction.outputs import REMEDY, RunOutputs
from siglip2_multimodal_hash.prediction.photos import read_photo
from siglip2_multimodal_hash.progress import track
from siglip2_multimodal_hash.training.checkpoint import load_head
from siglip2_multimodal_hash.training.inference import encode_dataset

# Other kernels move a soft code by some 1e-6; another head, by about 1.
_SAME_CODE = 1e-2


@dataclass(frozen=True, eq=False)
class EmbeddedPhotos:
    """Photos that went through the image tower.

    Attributes:
        paths: The n files that could be read, in the order in which they were given.
        image: Their embeddings, float32 [n, D_i]; [0, 0] where there is none.
        failures: A message for each of the other files.
    """

    paths: tuple[Path, ...]
    image: Vectors
    failures: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Encoder:
    """Towers and head on one device.

    Attributes:
        towers: Those that the database went through.
        network: The head.
        stored: dtype of the database's embeddings: photos are rounded likewise.
    """

    towers: Towers
    network: HashNetwork
    stored: np.dtype[Any]

    def embed_photos(self, paths: Sequence[Path], batch_size: int) -> EmbeddedPhotos:
        """Embed the files that can be read, as the ``embed`` stage does, and name the others.

        Args:
            paths: Files.
            batch_size: Photos that go through the tower at a time. Of these only the tower's
                inputs are held at once: a photo of 12 megapixels has 36 MB.
        """
        readable: list[Path] = []
        failures: list[str] = []
        parts: list[Vectors] = []
        for start in track(range(0, len(paths), batch_size), "photos", "batch"):
            inputs = []
            for path in paths[start : start + batch_size]:
                try:
                    photo = read_photo(path)
                    with explained_memory(str(path), photo.size):
                        inputs.append(self.towers.preprocess([photo]))
                    readable.append(path)
                except InputError as error:
                    failures.append(str(error).splitlines()[0])
            if inputs:
                joined = {name: torch.cat([one[name] for one in inputs]) for name in inputs[0]}
                parts.append(self._as_stored(self.towers.encode_images(joined)))
        image = np.concatenate(parts) if parts else np.empty((0, 0), dtype=np.float32)
        return EmbeddedPhotos(tuple(readable), image, tuple(failures))

    def embed_caption(self, caption: str) -> Vectors:
        """The text tower's pooled output, float32 [1, D_t]."""
        return self._as_stored(self.towers.encode_texts([caption]))

    def _as_stored(self, v: torch.Tensor) -> Vectors:
        """Embeddings, float32, as they would come back from their file."""
        rounded: Vectors = v.cpu().numpy().astype(self.stored).astype(np.float32)
        return rounded

    def encode(self, v_img: Vectors, v_txt: Vectors, batch_size: int) -> tuple[Vectors, Vectors]:
        """Soft codes and scores; see :func:`.inference.encode_dataset`."""
        return encode_dataset(self.network, v_img, v_txt, batch_size)


def load_fitted_head(
    outputs: RunOutputs, embeddings: Embeddings, policy: CaptionPolicy
) -> HashNetwork:
    """Load the head, on the CPU.

    Args:
        outputs: Of the run.
        embeddings: Of its dataset.
        policy: Captions that its codes were made with: ``dataset.eval_caption``.

    Raises:
        DataError: It is damaged, or the codes are not what it makes of the embeddings.
    """
    network, config = load_head(outputs.head)
    for name, array, expected in (
        ("image", embeddings.image, config.image_dim),
        ("caption", embeddings.caption, config.caption_dim),
    ):
        check_size(f"width of the {name} embeddings", array.shape[1], "in the head", expected)
    _check_code(outputs, network, embeddings, policy)
    return network


def load_encoder(
    params: Params, outputs: RunOutputs, network: HashNetwork, meta: Mapping[str, Any]
) -> Encoder:
    """Load the towers that the database went through.

    Args:
        params: Whole.
        outputs: Of the run.
        network: The head; moved to the device of the towers.
        meta: Content of the embeddings' ``meta.json``.

    Raises:
        DataError: The towers of params.yaml are others.
        InputError: See :func:`.towers.load_towers`.
    """
    backbone = embedded_backbone(params, outputs.towers)
    device = choose_device(params.runtime.device)
    towers = load_towers(backbone, device)
    check_towers(meta, describe(backbone, towers, {}), outputs.embeddings)
    return Encoder(towers, network.to(device), np.dtype(meta["dtype"]))


def check_towers(stored: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> None:
    """Make sure that photos go through the towers that the database went through.

    Args:
        stored: The ``meta.json`` of the embeddings.
        now: Of the loaded towers; see :func:`.meta.describe`.
        folder: Of the embeddings, for the message.

    Raises:
        DataError: They differ; the message names the first thing that does.
    """
    decisive = ("weights_sha256", "commit", "model_type", "max_num_patches", "text_max_length")
    # A folder of the same weights may have moved; a name on the hub is all that there is.
    names = () if now["weights_sha256"] else ("checkpoint", "revision")
    for key in (*names, *decisive, "image_processor", "amp_dtype", "dtype"):
        if stored.get(key) != now[key]:
            # Another release of transformers changes these, and DVC does not see it.
            forced = "run `dvc repro --force --single-item embed`, then `dvc repro`"
            raise DataError(
                f"{folder}: made with {key} = {stored.get(key)}, params.yaml now gives {now[key]}",
                forced if key == "image_processor" else REMEDY,
            )


def head_differences(params: Params, head: HeadConfig) -> list[str]:
    """A sentence for each parameter of the head's shape that differs from its checkpoint's.

    The checkpoint's are in force: its weights fit no others.
    """
    both: dict[str, tuple[object, object]] = {
        "decomposer.eps": (params.decomposer.eps, head.eps),
        "decomposer.adapter": (params.decomposer.adapter, head.adapter),
        "fusion.type": (params.fusion.type, head.fusion),
        "fusion.modalities": (params.fusion.modalities, head.modalities),
        "fusion.project_dim": (params.fusion.project_dim, head.project_dim),
        "fusion.mlp_dims": (list(params.fusion.mlp_dims), list(head.mlp_dims)),
        "fusion.activation": (params.fusion.activation, head.activation),
        "hash.bits": (params.hash.bits, head.bits),
        "hash.normalize": (params.hash.normalize, head.normalize),
        "classifier.use_bias": (params.classifier.use_bias, head.classifier_bias),
    }
    if head.bits and head.shortcut != (params.hash.shortcut != "none"):
        built = "a linear map" if head.shortcut else "none"
        both["hash.shortcut"] = (params.hash.shortcut, built)
    if head.project_dim:
        both["fusion.projection"] = (params.fusion.projection, head.projection)
    return [
        f"{key} = {now} in params.yaml, {built} in the head, which is used (`dvc repro` retrains)"
        for key, (now, built) in both.items()
        if now != built
    ]


def check_caption(head: HeadConfig, caption: str | None) -> None:
    """Refuse a blank caption, and a missing one where the head takes nothing else.

    Raises:
        InputError: The head takes only captions, and none is given; or the caption is blank or
            not UTF-8.
    """
    if caption is not None and not caption.strip():
        raise InputError("--caption is blank", "leave it out, or describe the photo")
    # Other bytes than UTF-8 on the command line reach Python as lone surrogates.
    if caption is not None and any("\ud800" <= letter <= "\udfff" for letter in caption):
        raise InputError("--caption is not UTF-8", "set the terminal to UTF-8, or leave it out")
    if caption is None and head.modalities == "caption":
        raise InputError(
            "fusion.modalities = caption: this head takes only captions, and none is given",
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
