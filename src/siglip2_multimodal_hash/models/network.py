"""The whole head: adapters, decomposition, fusion, hash layer, classifier."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from siglip2_multimodal_hash.models.config import HeadConfig
from siglip2_multimodal_hash.models.decomposition import (
    Decomposed,
    DirectionProjection,
    build_adapter,
    decompose,
)
from siglip2_multimodal_hash.models.fusion import FusionMLP, join_modalities
from siglip2_multimodal_hash.models.hashing import HashLayer


class HeadOutput(NamedTuple):
    """The head's output for B pairs; a part that the config leaves out is None."""

    logits: Tensor  # [B, C]
    fused: Tensor  # [B, D_z], z
    soft_code: Tensor | None  # [B, bits], h in (-1, 1); None without a hash layer
    d_img: Tensor | None  # [B, D_i], or [B, P] where directions are projected
    d_txt: Tensor | None  # [B, D_t], or [B, P]
    m_img: Tensor | None  # [B, 1]
    m_txt: Tensor | None  # [B, 1]
    pre_code: Tensor | None = None  # [B, bits], u of h = tanh(u)

    @property
    def code(self) -> Tensor:
        """The vector to index, [B, bits] or [B, D_z]: h, or z where there is no hash layer."""
        return self.fused if self.soft_code is None else self.soft_code

    def rows(self, start: int, stop: int) -> "HeadOutput":
        """The output of some of the pairs."""
        return HeadOutput._make(part if part is None else part[start:stop] for part in self)

    @classmethod
    def joined(cls, outputs: "list[HeadOutput]") -> "HeadOutput":
        """The outputs of several runs of the same head as one."""
        parts = zip(*outputs, strict=True)
        return cls._make(part[0] if part[0] is None else torch.cat(part) for part in parts)


class _Views(NamedTuple):
    """B pairs on their way into the fusion MLP."""

    joined: Tensor  # [B, input_dim]
    image: Decomposed | None
    caption: Decomposed | None


class HashNetwork(nn.Module):
    """Image and caption embeddings -> class logits and a code.

    Args:
        config: Widths and choices; kept as ``.config``.
    """

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        self.config = config
        self.uses_image = config.modalities != "caption"
        self.uses_caption = config.modalities != "image"
        if self.uses_image:
            self.image_adapter = build_adapter(config.adapter, config.image_dim)
        if self.uses_caption:
            self.caption_adapter = build_adapter(config.adapter, config.caption_dim)
        if config.project_dim:
            self._add_projections()
        self.fusion = FusionMLP(config)
        self.hash_layer = (
            HashLayer(
                config.fused_dim,
                config.bits,
                config.normalize,
                config.mlp_input_dim if config.shortcut else 0,
            )
            if config.bits
            else None
        )
        self.classifier = nn.Linear(config.code_dim, config.classes, bias=config.classifier_bias)
        nn.init.xavier_normal_(self.classifier.weight)
        if self.classifier.bias is not None:
            nn.init.zeros_(self.classifier.bias)

    def forward(self, v_img: Tensor | None, v_txt: Tensor | None) -> HeadOutput:
        """Run the head.

        Args:
            v_img: [B, D_i] image embeddings, not normalised; None where captions alone are used.
            v_txt: [B, D_t] caption embeddings, not normalised; None where images alone are used.

        Raises:
            ValueError: An embedding that the config needs is None.
        """
        views = self._views(v_img, v_txt)
        x = self.fusion.prepare(views.joined)
        fused = self.fusion.layers(x)
        pre_code = None if self.hash_layer is None else self.hash_layer.pre_code(fused, x)
        soft_code = None if pre_code is None else torch.tanh(pre_code)
        d_img, m_img = views.image or (None, None)
        d_txt, m_txt = views.caption or (None, None)
        return HeadOutput(
            logits=self.classifier(fused if soft_code is None else soft_code),
            fused=fused,
            soft_code=soft_code,
            d_img=d_img,
            d_txt=d_txt,
            m_img=m_img,
            m_txt=m_txt,
            pre_code=pre_code,
        )

    def fusion_input(self, v_img: Tensor | None, v_txt: Tensor | None) -> Tensor:
        """The input of the fusion for these embeddings, [B, input_dim]; see :meth:`forward`."""
        return self._views(v_img, v_txt).joined

    def mlp_input(self, v_img: Tensor | None, v_txt: Tensor | None) -> Tensor:
        """The input of its MLP, x of the shortcut, [B, mlp_input_dim]; see :meth:`forward`."""
        return self.fusion.prepare(self.fusion_input(v_img, v_txt))

    def decomposed(self, v_img: Tensor | None, v_txt: Tensor | None) -> list[Decomposed]:
        """The modalities in use, behind an adapter and before a projection; see :meth:`forward`."""
        return [decompose(v, self.config.eps) for v in self._adapted(v_img, v_txt)]

    def _adapted(self, v_img: Tensor | None, v_txt: Tensor | None) -> list[Tensor]:
        vectors: list[Tensor] = []
        if self.uses_image:
            vectors.append(self.image_adapter(_needed(v_img, "v_img")))
        if self.uses_caption:
            vectors.append(self.caption_adapter(_needed(v_txt, "v_txt")))
        return vectors

    def _views(self, v_img: Tensor | None, v_txt: Tensor | None) -> "_Views":
        if self.config.fusion == "raw":
            return _Views(torch.cat(self._adapted(v_img, v_txt), dim=-1), None, None)
        parts = self.decomposed(v_img, v_txt)
        if self.config.project_dim:
            # The magnitude is that of the embedding: the projection sees the direction alone.
            parts = [
                Decomposed(project(part.direction), part.magnitude)
                for project, part in zip(self.projections(), parts, strict=True)
            ]
        if len(parts) == 1:
            image, caption = (parts[0], None) if self.uses_image else (None, parts[0])
            only = parts[0].magnitude if self.config.fusion == "magnitude" else parts[0].direction
            return _Views(only, image, caption)
        return _Views(join_modalities(self.config.fusion, *parts), *parts)

    def _add_projections(self) -> None:
        config = self.config

        def projection(dim: int) -> DirectionProjection:
            learned = config.projection == "learned"
            return DirectionProjection(dim, config.project_dim, config.eps, learned=learned)

        if self.uses_image:
            self.image_projection = projection(config.image_dim)
        if self.uses_caption:
            self.caption_projection = projection(config.caption_dim)
        if self.uses_image and self.uses_caption and config.image_dim == config.caption_dim:
            # Towers that were trained together share their axes: the products start on them.
            self.caption_projection.load_state_dict(self.image_projection.state_dict())

    def projections(self) -> list[DirectionProjection]:
        """The projections of the modalities in use, images first."""
        used = [(self.uses_image, "image_projection"), (self.uses_caption, "caption_projection")]
        return [getattr(self, name) for uses, name in used if uses]

    @torch.inference_mode()
    def encode(self, v_img: Tensor | None, v_txt: Tensor | None) -> tuple[Tensor, Tensor]:
        """Code and scores for inference, whatever mode the network is in.

        Args:
            v_img: As for :meth:`forward`.
            v_txt: As for :meth:`forward`.

        Returns:
            Code, float32 [B, bits]: h; without a hash layer [B, D_z]: z with unit length.
            Scores, float32 [B, C] in [0, 1]: the sigmoid of the logits.
        """
        was_training = self.training
        self.eval()
        output: HeadOutput = self(v_img, v_txt)
        self.train(was_training)
        code = output.code.float()
        if output.soft_code is None:
            code = nn.functional.normalize(code, dim=-1)
        return code, output.logits.float().sigmoid()


def _needed(v: Tensor | None, name: str) -> Tensor:
    if v is None:
        raise ValueError(f"{name} is None, but the head's config uses this modality")
    return v
