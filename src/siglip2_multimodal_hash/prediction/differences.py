"""Where the head was built from other parameters than params.yaml now has."""

from siglip2_multimodal_hash.models.config import HeadConfig
from siglip2_multimodal_hash.params import Params


def head_differences(params: Params, head: HeadConfig) -> list[str]:
    """A sentence for each parameter of the head's shape that is another one in its checkpoint.

    The checkpoint's are in force: its weights fit no others.
    """
    both = {
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
    return [
        f"{key} = {now} in params.yaml, {built} in the head, which counts (`dvc repro` makes anew)"
        for key, (now, built) in both.items()
        if now != built
    ]
