"""The server that most tests of HTTP send requests to."""

from collections.abc import Iterator

import pytest

from tests.serve.stand_in import RunningServer, run_server


@pytest.fixture(scope="module")
def running() -> Iterator[RunningServer]:
    with run_server() as server:
        yield server


@pytest.fixture
def server(running: RunningServer) -> Iterator[RunningServer]:
    """The server of a file of tests, with the settings that it started with."""
    before = running.gateway.configuration
    running.service.requests.clear()
    yield running
    running.gateway.configuration, running.service.error = before, None
