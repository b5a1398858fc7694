"""``smhash check``."""

import argparse

from siglip2_multimodal_hash.cli.commands import Commands, new_command
from siglip2_multimodal_hash.params import IMPORTED, PARAMS_FILE, Params, load_params
from siglip2_multimodal_hash.training.trackers import require_trackers


def add_parser(commands: Commands) -> None:
    """Add the command."""
    new_command(commands, "check", check)


def check(_: argparse.Namespace) -> None:
    """Check the keys and values of params.yaml, and that the trackers it enables are installed."""
    params = load_params()
    require_trackers(params.runtime.logging)
    if params.backbone.checkpoint == IMPORTED:
        _check_imported(params)
    print(f"{PARAMS_FILE}: every parameter is known and allowed")


def _check_imported(params: Params) -> None:
    """Check that the head can take the imported features, if there are any.

    Raises:
        ParamsError: Their widths do not suit the fusion or the loss.
    """
    from siglip2_multimodal_hash.doctor.imported import look_up_imported
    from siglip2_multimodal_hash.memory.needs import CLASSES
    from siglip2_multimodal_hash.memory.towers import tower_sizes
    from siglip2_multimodal_hash.models.config import HeadConfig

    features = look_up_imported(params)
    if features.place == "folder":
        towers = tower_sizes(params.backbone, features.config)
        HeadConfig.from_params(params, towers.image.width, towers.caption_dim, CLASSES)
