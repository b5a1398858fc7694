"""Pin the kernels before a test loads a numerical library: they read their settings once."""

from siglip2_multimodal_hash.kernels import pin_cpu_kernels

pin_cpu_kernels()

from collections.abc import Callable  # noqa: E402
from importlib.util import find_spec  # noqa: E402

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

from tests.commands import run_smhash  # noqa: E402

# How long an example takes says something of the machine's other work, not of the code.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out the tests of an extra that is not installed."""
    if find_spec("ray") is None:
        missing = pytest.mark.skip(reason='Ray is not installed: pip install ".[ray]"')
        for item in items:
            if item.get_closest_marker("ray"):
                item.add_marker(missing)


@pytest.fixture
def smhash() -> Callable[..., int]:
    """Run a command in this process; its exit code."""
    return run_smhash


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests recorded, so that the logs of two machines can be compared."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{name}: {value}")
