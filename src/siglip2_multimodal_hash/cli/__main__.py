"""``python -m siglip2_multimodal_hash.cli``: the same as ``smhash``, where it is not installed."""

from siglip2_multimodal_hash.cli.main import main

main()
