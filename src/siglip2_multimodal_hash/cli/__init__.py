"""``smhash``: commands around the pipeline, one module each."""

from siglip2_multimodal_hash.cli.main import main

__all__ = ["main"]
