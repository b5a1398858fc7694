"""The web server of these tests."""

from collections.abc import Iterator

import pytest

from tests.datasets.acquisition.web import Server, serving


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running
