"""One small repository for the tests of all commands on experiments, which work on copies of it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.experiments.small_repository import make_repository


@pytest.fixture(scope="session")
def new_repository(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Copy a repository whose pipeline has run and is committed."""
    made = tmp_path_factory.mktemp("made")
    make_repository(made)

    def copy(name: str) -> Path:
        folder = tmp_path_factory.mktemp(name) / "repository"
        return shutil.copytree(made, folder, symlinks=True)

    return copy
