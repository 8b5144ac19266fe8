"""Renews the leases that this process holds, from one thread, at a third of their time."""

import logging
import os
import threading
import time
from typing import Final

from airside.sdk.limiting import server
from airside.sdk.limiting.exceptions import LeaseLost, LimitError, LimitMissing
from airside.sdk.limiting.server import Away, Server

_log = logging.getLogger("airside.limits")
_AGAIN_SECONDS: Final = 1.0


class Lease:
    """Slots of a limit, held. `sent` is when the last sign of life that was answered was sent (monotonic seconds)."""

    def __init__(self, server: Server, name: str, lease: str, *, slots: int, ttl: float, sent: float) -> None:
        self.name, self.id, self.slots, self.ttl = name, lease, slots, ttl
        self._server = server
        self._sent = sent
        self._process = os.getpid()
        self._lost = ""
        self.next = sent + ttl / 3

    @property
    def lost(self) -> str:
        """Why the slots are ours no longer; empty while they are."""
        if not self._lost and time.monotonic() - self._sent > self.ttl:
            return f"the server was not reached for {self.ttl:g} s"
        return self._lost

    def check(self) -> None:
        """Raise LeaseLost when the slots may be somebody else's by now."""
        if lost := self.lost:
            raise LeaseLost(f"{self.name} is no longer held: {lost}")

    def renew(self) -> bool:
        """Send a sign of life; False when there is nothing left to keep."""
        sent = time.monotonic()
        try:
            self._server.post(self.name, "renew", {"lease": self.id})
        except LeaseLost as error:
            self._lost = str(error)
        except LimitMissing:
            return False  # the limit was removed: nothing of this name is limited
        except (Away, LimitError):
            self.next = sent + min(_AGAIN_SECONDS, self.ttl / 6)
            return True
        else:
            self._sent, self.next = sent, sent + self.ttl / 3
            return True
        _log.warning("%s is no longer held: %s", self.name, self._lost, extra={"action": "limits.lost"})
        return False

    def release(self) -> None:
        """Give the slots back. What the server does not hear of ends by itself."""
        if self._process != os.getpid():
            return
        try:
            self._server.post(self.name, "release", {"lease": self.id})
        except LimitError as error:
            _log.info("%s is given back when its time is over: %s", self.name, error)


class Keeper:
    """All leases of this process."""

    def __init__(self) -> None:
        self._leases: list[Lease] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, lease: Lease) -> None:
        """Renew this one from now on."""
        with self._changed:
            self._leases.append(lease)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="airside-leases", daemon=True)
                self._thread.start()
            self._changed.notify()

    def drop(self, lease: Lease) -> None:
        """Renew it no more."""
        with self._changed:
            if lease in self._leases:
                self._leases.remove(lease)

    def _run(self) -> None:
        while True:
            with self._changed:
                due = min((lease.next for lease in self._leases), default=None)
                left = None if due is None else due - time.monotonic()
                if left is None or left > 0:
                    self._changed.wait(left)
                    continue
                lease = min(self._leases, key=lambda lease: lease.next)
            if not lease.renew():
                self.drop(lease)


keeper = Keeper()


def _after_fork() -> None:
    """Leave the parent's leases to the parent."""
    global keeper  # noqa: PLW0603
    keeper = Keeper()
    server.forget()


os.register_at_fork(after_in_child=_after_fork)
