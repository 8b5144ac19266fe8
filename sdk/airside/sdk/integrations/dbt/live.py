"""Following a dbt command while it runs: its log in, events out, the user's log file beside."""

import threading
from pathlib import Path
from typing import Any, Final

import orjson

from airside.events import wire
from airside.events.dbt_log import LogReader
from airside.sdk.emitting.emitter import Emitter
from airside.sdk.emitting.notices import log
from airside.sdk.integrations.dbt.command import Command
from airside.sdk.integrations.dbt.log_copy import LogCopy
from airside.sdk.integrations.dbt.tail import Tail

POLL_SECONDS: Final = 0.1
#: After dbt has ended, for what is left of its log. It is read while dbt runs, so little is.
_DRAIN_SECONDS: Final = 30.0


class Live:
    """One command's log, read by a thread of its own. Nothing here raises: dbt must not notice."""

    def __init__(self, folder: Path, command: Command, emitter: Emitter) -> None:
        self._tail = Tail(folder / "dbt.log")
        self._copy = LogCopy(command.log)
        self._target = command.target
        self._reader = LogReader(project=command.project.name)
        self._emitter = emitter
        self._manifest_at: tuple[int, int] | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="airside-dbt", daemon=True)
        #: Events handed to the emitter.
        self.sent = 0

    def start(self) -> None:
        """Begin to follow the log."""
        self._thread.start()

    def end(self, exit_code: int) -> None:
        """Read what is left once dbt has ended, and say how it went. Negative codes are signals."""
        self._ended.set()
        self._thread.join(_DRAIN_SECONDS)
        if self._thread.is_alive():
            return
        try:
            self._send(self._reader.finish(exit_code, sources=_json(self._target / "sources.json")))
        except Exception:  # noqa: BLE001 - sources.json may be anything
            self._try(lambda: self._send(self._reader.finish(exit_code)))
        self._try(self._copy.close)
        self._try(self._tail.close)

    def _run(self) -> None:
        while not self._ended.wait(POLL_SECONDS):
            self._try(self._read)
        self._try(self._read)

    def _read(self) -> None:
        for line in self._tail.read():
            self._try(lambda line=line: self._take(line))

    def _take(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace")
        try:
            entry = orjson.loads(line)
        except orjson.JSONDecodeError:
            return
        if not isinstance(entry, dict):
            return
        self._try(lambda: self._copy.write(entry, text))
        # dbt has written the manifest before it begins with the first node.
        if self._reader.manifest is None and '"unique_id"' in text:
            self._find_manifest()
        self._send(self._reader.feed(line))

    def _find_manifest(self) -> None:
        """Read the manifest, if it is that of this command; the same file is not read twice in vain."""
        path = self._target / "manifest.json"
        try:
            found = path.stat()
        except OSError:
            return
        mark = (found.st_mtime_ns, found.st_size)
        if mark == self._manifest_at:
            return
        manifest = _json(path)
        metadata = manifest.get("metadata") if isinstance(manifest, dict) else None
        if isinstance(metadata, dict) and metadata.get("invocation_id") == self._reader.invocation_id:
            self._reader.manifest = manifest
        self._manifest_at = mark

    def _send(self, events: list[wire.WireEvent]) -> None:
        for event in events:
            self.sent += self._emitter.send(as_object(event))

    def _try(self, action: Any) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a line, the next one may be right
            log.debug("following dbt: %s", type(error).__name__, exc_info=error)


def as_object(event: wire.WireEvent) -> dict[str, Any]:
    """Give an event as the server reads it."""
    found: dict[str, Any] = orjson.loads(wire.encode(event))
    return found


def _json(path: Path) -> Any:
    try:
        return orjson.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
