"""A Chromium, and a region of their own: the walks count what they did, so nobody else may walk there."""

import contextlib
import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from ..conftest import Running, start_region, stop_region  # noqa: TID252 - tests is no installed package
from .chromium import launch, missing
from .visitor import SCREENSHOTS


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium per file: while it is driven, no other test can have an event loop of its own."""
    if reason := missing():
        pytest.skip(reason)
    with sync_playwright() as playwright:
        chromium = launch(playwright)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session", autouse=True)
def _pictures(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Pictures of an earlier run would lie about this one. If processes share the run, the first one removes them."""
    place = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        place = place.parent
    with contextlib.suppress(FileExistsError):
        (place / "old-pictures").mkdir()
        shutil.rmtree(SCREENSHOTS, ignore_errors=True)


@pytest.fixture(scope="session")
def region(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A region in which only these tests walk."""
    running = start_region(tmp_path_factory.mktemp("region"))
    yield running
    assert stop_region(running) == 0
