"""What `emit` talks to: the settings and the shipper of one process, at its exit and in its forked children."""

import atexit
import os
import sys
import threading
import weakref
from collections.abc import Iterable, Mapping
from datetime import datetime
from time import monotonic
from typing import Any, Final, Protocol

from airside.sdk.emitting import message, shipper
from airside.sdk.emitting import settings as emit_settings
from airside.sdk.emitting.message import BadEvent, Related, Resource
from airside.sdk.emitting.notices import Notices, log
from airside.sdk.emitting.settings import BadSettings, EmitSettings
from airside.sdk.emitting.spool import Spool
from airside.sdk.emitting.transport import choose

#: All that exist, for what a fork must do; and those that the end of the process must close.
_ALL: "weakref.WeakSet[Emitter]" = weakref.WeakSet()
_OPEN: "set[Emitter]" = set()
_WAIT_SECONDS: Final = 10.0


class Pending(Protocol):
    """Tells something in the background, that the end of the process and `flush` wait for."""

    def wait(self, seconds: float) -> bool:
        """Wait until it is told, at most so long; tell whether it is."""
        ...

    def finish(self) -> None:
        """Tell it now or hand it over: the process ends."""
        ...


class Emitter:
    """Sends events to one server. From any thread, sync or async; nothing raises unless the settings are `strict`.

    Most programs need only `airside.sdk.emit`, which uses the emitter of the process. Integrations make their own with
    settings of their own, `send` events that are already put together, and `close` it.
    """

    def __init__(self, settings: EmitSettings) -> None:
        self.settings = settings
        self.notices = Notices()
        spool = Spool.of(settings)
        self.shipper = shipper.Shipper(spool, lambda: choose(settings), self.notices, settings.address)
        #: Who has more to tell before the last events go.
        self.pending: list[Pending] = []
        self._at_exit = False
        _ALL.add(self)
        _OPEN.add(self)

    def emit(
        self,
        event_type: str,
        resource: Resource,
        *,
        related: Related = (),
        payload: Mapping[str, Any] | None = None,
        labels: Mapping[str, str] | None = None,
        event_id: str | None = None,
        time: datetime | str | None = None,
        causes: Iterable[str] = (),
        source: str | None = None,
        durable: bool | None = None,
    ) -> str:
        """Put an event on its way and give its id. Raises BadEvent in strict mode only."""
        event_id = event_id or message.uuid7()
        try:
            event = message.build(
                event_type,
                resource,
                event_id=event_id,
                source=source or self.settings.source,
                related=related,
                payload=payload,
                labels=labels,
                time=time,
                causes=causes,
            )
        except Exception as error:  # noqa: BLE001 - people's own objects may fail in any way
            self._bad(error)
            return event_id
        self.send(event, durable=durable)
        return event_id

    def send(self, event: Mapping[str, Any], *, durable: bool | None = None) -> bool:
        """Put an event, whole as the server reads it, on its way; False when it is no event. With `id` and `source`.

        `durable` (default: the settings') writes it to the spool before this returns.
        """
        try:
            line = message.encode(event)
        except Exception as error:  # noqa: BLE001
            self._bad(error)
            return False
        return self.send_line(line, durable=durable)

    def send_line(self, line: bytes, *, durable: bool | None = None) -> bool:
        """Put an event on its way that is written already, as `message.encode` writes them."""
        try:
            self.notices.counts["emitted"] += 1
            self.shipper.put(line, durable=self.settings.durable if durable is None else durable)
            if not self._at_exit:
                self._flush_at_exit()
        except Exception:
            if self.settings.strict:
                raise
            log.exception("an event was not taken", extra={"action": "emit.failed"})
            return False
        return True

    def flush(self, timeout: float = _WAIT_SECONDS) -> bool:
        """Wait until everything emitted so far is acknowledged, at most `timeout` seconds; tell whether it is.

        What is not acknowledged then is still sent later, or by another process.
        """
        deadline = monotonic() + timeout
        told = all(one.wait(max(deadline - monotonic(), 0.0)) for one in self.pending)
        return self.shipper.drain(max(deadline - monotonic(), 0.0)) and told

    def close(self, timeout: float | None = None) -> None:
        """Ship what there is within the time (default: the settings'), spool the rest."""
        for one in self.pending:
            one.finish()
        self.shipper.end(self.settings.exit_seconds if timeout is None else timeout)
        _OPEN.discard(self)
        if lost := self.notices.counts["lost"]:
            log.warning("%d events are lost: neither the server nor the spool took them", lost)

    def stats(self) -> dict[str, int]:
        """Count what became of events since the process began.

        `emitted` = `delivered` + `duplicates` + `refused` + `lost` + `waiting`, once nothing moves; `bad` never became
        events; `spooled` had to wait on disk; `left_over` were other processes', and are in `delivered` too.
        """
        names = ("emitted", "delivered", "duplicates", "refused", "bad", "spooled", "lost", "corrupt", "left_over")
        return {name: self.notices.counts[name] for name in names} | {"waiting": self.shipper.waiting}

    def _bad(self, error: Exception) -> None:
        if self.settings.strict:
            raise error
        kind = error.kind if isinstance(error, BadEvent) else type(error).__name__
        self.notices.counts["bad"] += 1
        text = str(error) if isinstance(error, BadEvent) else f"{type(error).__name__} while reading it"
        self.notices.warn(f"bad-{kind}", "an event was not sent: %s. Further ones like it are not told", text)

    def _flush_at_exit(self) -> None:
        """See to it that the end of this process waits for its events: children of multiprocessing skip atexit."""
        self._at_exit = True
        process = sys.modules.get("multiprocessing.process")
        if process is not None and process.parent_process() is not None:
            sys.modules["multiprocessing.util"].Finalize(None, _close_all, exitpriority=10)

    def _after_fork(self) -> None:
        self._at_exit = False
        self.shipper.after_fork()


_process: Emitter | None = None
_nothing_at: str | None = None  # the AIRSIDE_URL with which there was nothing to send to
_making = threading.RLock()
#: Whether this process is a forked child: many of those leave by `os._exit`, which lets nobody tell anything more.
is_forked = False


def of_process() -> Emitter | None:
    """Give the emitter of this process, made from the settings at first; None while no AIRSIDE_URL is set."""
    if _process is not None:
        return _process
    if _nothing_at is not None and os.environ.get("AIRSIDE_URL", "") == _nothing_at:
        return None
    with _making:
        return _process if _process is not None else _make()


def _make() -> Emitter | None:
    global _process, _nothing_at  # noqa: PLW0603 - one a process
    url = os.environ.get("AIRSIDE_URL", "")
    try:
        settings = emit_settings.load()
    except Exception as error:
        if os.environ.get("AIRSIDE_STRICT", "").lower() in ("1", "true", "yes", "on"):
            raise
        _nothing_at = url
        reason = str(error) if isinstance(error, BadSettings) else type(error).__name__
        log.warning("events are not sent: %s", reason, extra={"action": "emit.settings"})
        return None
    if not settings.url:
        _nothing_at = url
        log.debug("events are not sent: no AIRSIDE_URL is set", extra={"action": "emit.off"})
        return None
    _process = Emitter(settings)
    return _process


def use(emitter: Emitter | None) -> None:
    """Make this the emitter of the process, in place of the one before, which is closed; None: as the settings say."""
    global _process, _nothing_at
    with _making:
        before, _process, _nothing_at = _process, emitter, None
    if before is not None and before is not emitter:
        before.close()


def _close_all() -> None:
    for emitter in list(_OPEN):
        emitter.close()


_held: list[Emitter] = []


def _before_fork() -> None:
    shipper.fork_guard.acquire(timeout=5.0)
    _held[:] = _ALL
    for emitter in _held:
        emitter.shipper.lock_for_fork()


def _in_parent() -> None:
    for emitter in _held:
        emitter.shipper.unlock_after_fork()
    _held.clear()
    shipper.release_fork_guard()


def _in_child() -> None:
    global _making, is_forked
    _making, is_forked = threading.RLock(), True
    shipper.renew_fork_guard()
    for emitter in _held:
        emitter._after_fork()
    _held.clear()


atexit.register(_close_all)
os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
