"""`smhash` in the process of the tests."""

import sys

import pytest

from siglip2_multimodal_hash import cli


def run_smhash(*words: object) -> int:
    """Run a command; its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["smhash", *map(str, words)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
    return int(caught.value.code or 0)
