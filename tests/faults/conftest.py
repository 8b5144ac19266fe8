"""Real processes that are really killed."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.up import Up


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    """A server on a home of its own; whatever of it still runs at the end is stopped."""
    server = Up(tmp_path / "up-home")
    yield server
    if server.process is not None:
        server.kill()
    pid_file = server.home / "nats" / "server.pid"
    if pid_file.exists():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid_file.read_text()), signal.SIGKILL)
