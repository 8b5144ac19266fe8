"""What tests share: a real nats-server, a log on it, a whole coordinator with its HTTP address.

Every server listens on a free loopback port, lives in the test's temporary folder, and is stopped by the fixture that
started it.
"""

import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import settings

from airside.coordinator.coordinator import Coordinator
from airside.coordinator.nats_server import EmbeddedServer
from airside.coordinator.server import running
from airside.coordinator.settings import ServerSettings
from airside.events.log import Log, ReaderClient, connect
from tests.support.flows import told

__all__ = ["told"]

# In CI the same histories each time: a run says something about the change, not about luck. Elsewhere new ones.
settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("developer", deadline=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "developer")


_ORDER_IN_CI = 1

_told_by_workers: list[int] = []


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Shuffle the tests in the same way each time in CI; elsewhere in a new one."""
    if os.environ.get("CI") and config.getoption("randomly_seed", None) == "default":
        config.option.randomly_seed = _ORDER_IN_CI


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Use one worker more than there are cores: many tests wait for processes of their own."""
    return len(os.sched_getaffinity(0)) + 1


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes long, unless it is asked for."""
    if os.environ.get("AIRSIDE_TEST_SLOW") or "slow" in (config.getoption("-m") or ""):
        return
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="takes long; AIRSIDE_TEST_SLOW=1 or `-m slow` runs it"))


def _histories() -> int:
    budget = sys.modules.get("tests.property.budget")
    return budget.COUNTED["histories"] if budget is not None else 0


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand the count of a worker process to the one that reports."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["histories"] = _histories()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take the count of a worker process."""
    _told_by_workers.append(getattr(node, "workeroutput", {}).get("histories", 0))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many generated histories the engine and its reference models agreed on."""
    if total := _histories() + sum(_told_by_workers):
        terminalreporter.write_line(f"{total:,} generated histories were folded and compared")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the developer's own Airside out of the tests, and the tests out of it."""
    for name in list(os.environ):
        if name.startswith("AIRSIDE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AIRSIDE_HOME", str(tmp_path / "airside-home"))


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A nats-server as `airside up` starts it."""
    server = EmbeddedServer(tmp_path / "nats")
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def log(nats_server: EmbeddedServer) -> AsyncIterator[Log]:
    """The event log, empty."""
    nc = await connect(nats_server.url, name="test")
    found = Log(nc)
    await found.ensure()
    yield found
    await nc.close()


@pytest.fixture
async def reading_log(nats_server: EmbeddedServer, log: Log) -> AsyncIterator[Log]:
    """The same log over a reader's connection."""
    nc = await connect(nats_server.url, name="test-reader", client=ReaderClient)
    yield Log(nc)
    await nc.close()


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[tuple[Coordinator, httpx.AsyncClient]]:
    """A whole coordinator in this process, and a client of its HTTP address."""
    async with (
        running(ServerSettings(home=tmp_path / "home", port=0)) as (coordinator, url),
        httpx.AsyncClient(base_url=url, timeout=60) as client,
    ):
        yield coordinator, client
