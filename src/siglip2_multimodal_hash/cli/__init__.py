"""``smhash``: what is not a stage of the pipeline. A command is a module of this room."""

from siglip2_multimodal_hash.cli.main import main

__all__ = ["main"]
