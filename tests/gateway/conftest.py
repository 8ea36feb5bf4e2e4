"""What the tests of running gateways share."""

from collections.abc import Iterator

import pytest

from .gateway_sample import store_server


@pytest.fixture(scope="session")
def store_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server for gateways in this process; each has its own names in it, so they can share it."""
    directory = tmp_path_factory.mktemp("store")
    with store_server(directory):
        yield f"unix://{directory / 's.sock'}"
