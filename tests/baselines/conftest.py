"""Settings of the process for every test of a fit."""

from tests.training.conftest import _restored_determinism  # noqa: F401
