"""Log lines on their way to the server: in memory, in batches, dropped rather than waited for. Logs are not events."""

import atexit
import json
import logging
import os
import threading
import time
from collections import Counter, deque
from datetime import UTC, datetime
from typing import Any, Final

from airside.sdk import hidden
from airside.sdk.emitting import message
from airside.sdk.emitting import settings as emit_settings
from airside.sdk.flows.exceptions import trace_of

_log = logging.getLogger("airside.flows")
_MAX_LINES: Final = 20_000
_BATCH_LINES: Final = 1_000
_BATCH_BYTES: Final = 2 * 2**20
_MAX_MESSAGE: Final = 32_000
_EVERY_SECONDS: Final = 0.5
_MOST_WAIT_SECONDS: Final = 30.0
_EXIT_SECONDS: Final = 2.0


class LogOutbox:
    """Holds up to 20,000 lines, and sends them from a thread of its own. When it is full, the oldest are dropped."""

    def __init__(self, url: str, token: str | None) -> None:
        self._url, self._token = f"{url}/api/logs", token
        self._lines: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._sending = 0
        self._hurry = False
        self._http: Any = None
        #: What became of the lines: `taken`, `sent`, `dropped` (no room), `refused` (by the server).
        self.counts: Counter[str] = Counter()

    def put(self, run: str, task_run: str | None, record: logging.LogRecord) -> None:
        """Take a line. Never blocks longer than another thread needs to put its own."""
        if threading.current_thread() is self._thread:
            return  # what sending itself logs would go round and round
        line = self._encode(run, task_run, record)
        with self._changed:
            self.counts["taken"] += 1
            if len(self._lines) >= _MAX_LINES:
                self._lines.popleft()
                self.counts["dropped"] += 1
            self._lines.append(line)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="airside-logs", daemon=True)
                self._thread.start()
                atexit.register(self.flush, _EXIT_SECONDS)

    def flush(self, seconds: float = 5.0) -> bool:
        """Wait until all lines are sent or given up, at most so many seconds; tell whether they are."""
        end = time.monotonic() + seconds
        with self._changed:
            self._hurry = True
            self._changed.notify_all()
            while (self._lines or self._sending) and self._thread is not None:
                left = end - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
            self._hurry = False
            return not self._lines and not self._sending

    def _encode(self, run: str, task_run: str | None, record: logging.LogRecord) -> bytes:
        text = record.getMessage()
        if record.exc_info and record.exc_info[0] is not None:
            text += "\n" + logging.Formatter().formatException(record.exc_info)
        if self._token:
            text = text.replace(self._token, hidden.HIDDEN)
        text = hidden.masked(text)
        line = {
            "run": f"run://airside/{run}",
            "task_run": f"run://airside/{task_run}" if task_run else None,
            "time": message.moment(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname,
            "logger": record.name[:200],
            "message": text[:_MAX_MESSAGE],
        }
        return json.dumps(line).encode()

    def _run(self) -> None:
        failures = 0
        batch: list[bytes] = []
        key = ""
        while True:
            with self._changed:
                wait = min(_EVERY_SECONDS * 2**failures, _MOST_WAIT_SECONDS)
                if failures or len(self._lines) < _BATCH_LINES:
                    self._changed.wait_for(lambda: self._hurry and bool(self._lines or self._sending), wait)
                if not batch:
                    batch, key = self._take(), message.uuid7()
                    self._sending = len(batch)
            if not batch:
                continue
            answered = self._send(batch, key)
            with self._changed:
                if answered is None:
                    failures = min(failures + 1, 10)
                    if self._hurry:
                        self._changed.wait(0.1)
                    continue
                failures = 0
                self.counts["sent" if answered else "refused"] += len(batch)
                batch, self._sending = [], 0
                self._changed.notify_all()

    def _take(self) -> list[bytes]:
        batch: list[bytes] = []
        size = 0
        while self._lines and len(batch) < _BATCH_LINES and size < _BATCH_BYTES:
            batch.append(self._lines.popleft())
            size += len(batch[-1])
        return batch

    def _send(self, batch: list[bytes], key: str) -> bool | None:
        """Send lines; True: taken, False: not wanted, None: try again later."""
        import httpx  # noqa: PLC0415 - only where there is something to send

        try:
            if self._http is None:
                headers = {"User-Agent": "airside-sdk", "Content-Type": "application/x-ndjson"}
                if self._token:
                    headers["Authorization"] = f"Bearer {self._token}"
                self._http = httpx.Client(headers=headers, timeout=httpx.Timeout(5.0, connect=1.0))
            response = self._http.post(self._url, content=b"\n".join(batch), headers={"Idempotency-Key": key})
        except Exception:  # noqa: BLE001 - whatever fails must not end the thread
            return None
        if response.status_code in (200, 202):
            return True
        if response.status_code == 429 or response.status_code >= 500:
            return None
        if not self.counts["refused"]:
            _log.warning("log lines are not taken by the server (HTTP %d)", response.status_code)
        return False


_of: dict[str, LogOutbox] = {}
_lock = threading.Lock()


def of_process() -> LogOutbox | None:
    """Give the outbox of this process; None while there is no server that speaks HTTP to send lines to."""
    url = os.environ.get("AIRSIDE_URL", "")
    found = _of.get(url)
    if found is not None or url in _none:
        return found
    with _lock:
        try:
            settings = emit_settings.load()
        except Exception:  # noqa: BLE001 - emitting says what is wrong with them
            _none.add(url)
            return None
        if not settings.url or settings.speaks_nats:
            _none.add(url)
            return None
        return _of.setdefault(url, LogOutbox(settings.url, settings.token))


_none: set[str] = set()


def trouble(run: str, task_run: str | None, level: int, text: str, error: BaseException) -> None:
    """Send what went wrong in a run as a line of its log. Consoles are left alone: whoever calls sees the error."""
    logger = logging.getLogger("airside.runs.task" if task_run else "airside.runs.flow")
    if not (is_on(os.environ.get("AIRSIDE_LOG_SHIP")) and logger.isEnabledFor(level)):
        return
    outbox = of_process()
    if outbox is not None:
        info = (type(error), error, trace_of(error))
        try:
            outbox.put(run, task_run, logger.makeRecord(logger.name, level, "", 0, "%s", (text,), info))
        except Exception as failed:  # noqa: BLE001 - an error that cannot be written must not replace itself
            _log.debug("an error cannot be written to the log: %s", type(failed).__name__)


def is_on(text: str | None) -> bool:
    """Read a setting that is on unless it is switched off."""
    return (text or "").strip().lower() not in ("false", "0", "no", "off")


def _renew() -> None:
    """Begin anew in a forked child: its parent sends what it holds."""
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()
    _of.clear()


os.register_at_fork(after_in_child=_renew)
