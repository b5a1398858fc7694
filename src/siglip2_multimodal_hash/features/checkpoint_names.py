"""What ``backbone.checkpoint`` means; needs no model library to say so."""

from pathlib import Path


def means_folder(checkpoint: str) -> bool:
    """Whether a name that is no folder was meant as one: asking the hub for it takes half a minute.

    Names on the hub are ``owner/name``; the folder ``owner`` would have to be here by accident.
    """
    path = Path(checkpoint)
    relative = checkpoint.startswith((".", "~"))
    return path.is_absolute() or relative or len(path.parts) != 2 or Path(path.parts[0]).is_dir()
