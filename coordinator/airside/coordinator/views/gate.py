"""Who may use the views' memory: many readers, or the writer alone."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import duckdb

from airside.coordinator.views.exceptions import ViewsBusy

WAIT_SECONDS: Final = 20.0  # how long a reader waits for the writer
DRAIN_SECONDS: Final = 2.0  # how long the writer waits before it interrupts readers
_INTERRUPT_SECONDS: Final = 0.1


class ReadGate:
    """Open but for the moments in which the writer wants to be alone. For any thread; one writer."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside: list[duckdb.DuckDBPyConnection] = []
        self._shut = False

    @contextmanager
    def reading(self, con: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Read with this cursor, which may be interrupted. Raises ViewsBusy."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._shut, WAIT_SECONDS):
                raise ViewsBusy
            self._inside.append(con)
        try:
            yield
        finally:
            with self._changed:
                self._inside.remove(con)
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep readers out. Those inside may finish for a moment, then they are interrupted."""
        with self._changed:
            self._shut = True
            give_up = time.monotonic() + WAIT_SECONDS
            patience = DRAIN_SECONDS
            while not self._changed.wait_for(lambda: not self._inside, patience) and time.monotonic() < give_up:
                for con in self._inside:
                    con.interrupt()
                patience = _INTERRUPT_SECONDS
        try:
            yield
        finally:
            with self._changed:
                self._shut = False
                self._changed.notify_all()
