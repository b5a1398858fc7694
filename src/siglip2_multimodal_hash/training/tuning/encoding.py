"""The towers in training: pooled features with a gradient, and whole splits without one."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from siglip2_multimodal_hash.arrays import Vectors
from siglip2_multimodal_hash.datasets.images import ImageSource
from siglip2_multimodal_hash.device import Precision
from siglip2_multimodal_hash.features.preprocessing import Inputs
from siglip2_multimodal_hash.features.reader import (
    ImageReader,
    Reader,
    TextReader,
    read_batches,
    unreadable,
)
from siglip2_multimodal_hash.features.store import Embeddings
from siglip2_multimodal_hash.features.towers import Towers, pooled
from siglip2_multimodal_hash.models.network import HashNetwork
from siglip2_multimodal_hash.params import CaptionPolicy, RuntimeParams
from siglip2_multimodal_hash.training.data import ValidationData
from siglip2_multimodal_hash.training.tuning.data import PairBatch, Split

# Not `runtime.dataloader.embed_batch_size`: kernels for another number of rows round differently,
# and no parameter of `runtime` may change what comes out.
EVALUATION_BATCH = 64


class TowerEncoder:
    """Both towers in the precision of the fit.

    Args:
        towers: On their device; what is trained in them requires a gradient.
        precision: Of their arithmetic.
    """

    def __init__(self, towers: Towers, precision: Precision) -> None:
        self.towers = towers
        self._precision = precision

    def pair(self, batch: PairBatch, network: HashNetwork) -> tuple[Tensor | None, Tensor | None]:
        """v_img [B, D_i] and v_txt [B, D_t], float32; None for a tower that the head leaves out."""
        model = self.towers.model
        v_img = self._run(model.get_image_features, batch.images) if network.uses_image else None
        v_txt = self._run(model.get_text_features, batch.captions) if network.uses_caption else None
        return v_img, v_txt

    @torch.no_grad()
    def split(
        self,
        source: ImageSource,
        split: Split,
        policy: CaptionPolicy,
        runtime: RuntimeParams,
    ) -> ValidationData:
        """A whole split, with the caption embedding that evaluation uses; on the CPU.

        Leaves the model in eval mode.

        Raises:
            DataError: Images cannot be read, or a feature is not finite.
        """
        model = self.towers.model.eval()
        shown = split.one_caption() if policy == "first" else split
        images = ImageReader(source, shown.files, self.towers.preprocess, EVALUATION_BATCH)
        texts = TextReader(shown.all_captions(), self.towers.tokenize, EVALUATION_BATCH)
        embeddings = Embeddings(
            image=self._all(model.get_image_features, images, len(shown), runtime),
            caption=self._all(
                model.get_text_features, texts, int(shown.caption_offsets()[-1]), runtime
            ),
            caption_offsets=shown.caption_offsets(),
            prompt=np.zeros((0, 0), np.float32),
            meta={},
        )
        return ValidationData(
            v_img=torch.from_numpy(embeddings.image),
            v_txt=torch.from_numpy(embeddings.captions_by_policy(policy)),
            labels=shown.labels,
        )

    def _all(
        self, encode: Callable[..., object], reader: Reader, rows: int, runtime: RuntimeParams
    ) -> Vectors:
        """float32 [rows, D] of everything that a reader reads."""
        pin_memory = self.towers.device.type == "cuda"
        found: Vectors | None = None
        for batch in read_batches(reader, runtime.dataloader.num_workers, pin_memory=pin_memory):
            if batch.inputs is None:
                raise unreadable(batch.failures)
            features = self._run(encode, batch.inputs).cpu().numpy()
            if found is None:
                found = np.empty((rows, features.shape[1]), dtype=np.float32)
            found[batch.rows] = features[batch.items]
        assert found is not None  # a split has an image
        return found

    def _run(self, encode: Callable[..., object], inputs: Inputs) -> Tensor:
        device = self.towers.device
        moved = {name: v.to(device, non_blocking=True) for name, v in inputs.items()}
        with self._precision.autocast():
            return pooled(encode(**moved)).float()
