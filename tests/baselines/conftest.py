"""What every test of a fit needs of the process."""

from tests.training.conftest import _restored_determinism  # noqa: F401
