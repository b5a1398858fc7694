"""What the stages may fetch themselves."""

from pathlib import Path

from siglip2_multimodal_hash.params import RuntimeParams


def fetch_source(name: str, root: Path, runtime: RuntimeParams) -> None:
    """Fetch what is missing of a dataset, where ``runtime.download.enabled`` allows it.

    Args:
        name: ``dataset.name``; nothing is ever fetched for mojicoco.
        root: Where the dataset lies. Where that is not there it is not made: it may be a disk that
            is not mounted.
        runtime: Addresses and patience.

    Raises:
        DataError: The disk is too small, or a piece cannot be fetched.
    """
    if _may_fetch(name, root, runtime):
        # The HTTP client is loaded only where it may be needed.
        from siglip2_multimodal_hash.datasets.acquisition.coco import Acquisition
        from siglip2_multimodal_hash.datasets.acquisition.pieces import COCO

        Acquisition(root, runtime.download, progress=runtime.logging.progress).fetch(COCO)


def fetch_split(name: str, protocol: str, root: Path, runtime: RuntimeParams) -> None:
    """The same for what tells the splits apart: Karpathy's file, and for HashNet's its lists.

    Args:
        name: See :func:`fetch_source`.
        protocol: ``dataset.protocol``.
        root: See :func:`fetch_source`.
        runtime: See :func:`fetch_source`.

    Raises:
        DataError: See :func:`fetch_source`.
    """
    if _may_fetch(name, root, runtime):
        from siglip2_multimodal_hash.datasets.acquisition.coco import Acquisition
        from siglip2_multimodal_hash.datasets.acquisition.pieces import HASHNET, SPLIT

        pieces = (SPLIT, *HASHNET) if protocol == "hashnet" else (SPLIT,)
        Acquisition(root, runtime.download, progress=runtime.logging.progress).fetch(pieces)


def _may_fetch(name: str, root: Path, runtime: RuntimeParams) -> bool:
    return name == "coco2014" and runtime.download.enabled and root.is_dir()
