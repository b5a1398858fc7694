"""Acquisition of COCO 2014: resumable downloads, checked archives, links to local copies."""

from pathlib import Path

from siglip2_multimodal_hash.params import RuntimeParams


def fetch_missing(runtime: RuntimeParams, *, hashnet: bool = False) -> None:
    """Fetch what is missing of COCO, where ``runtime.download.enabled`` allows it.

    A root that is not there is not made, unlike by the command: it may be a disk that is not
    mounted, and 20 GB would go to another.

    Args:
        runtime: The root, the addresses, the patience.
        hashnet: Fetch HashNet's lists too.

    Raises:
        InputError: See :func:`.coco.acquire_coco`.
    """
    root = Path(runtime.coco_root)
    if not runtime.download.enabled or not root.is_dir():
        return
    # With its HTTP client, which no other run needs.
    from siglip2_multimodal_hash.datasets.acquisition.coco import acquire_coco
    from siglip2_multimodal_hash.datasets.acquisition.download import Transfer

    acquire_coco(root, runtime.download, Transfer.from_params(runtime), hashnet=hashnet)
