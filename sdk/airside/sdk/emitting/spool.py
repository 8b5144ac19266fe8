"""Events that wait on disk, in one folder for each server and token.

    <name>.jsonl, .at    segments: see `segment`; each process writes its own
    refused.jsonl        events that the server will never take, with its reason
    corrupt.jsonl        lines that a dying machine left half written
    away                 until when the server was found away: see `breaker`
    target.json          which server the folder is for, to be shown

Nothing that was not delivered is deleted. When the folder has reached its size, new events are refused.
"""

import json
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from airside.sdk.emitting.segment import SUFFIX, Segment
from airside.sdk.emitting.settings import EmitSettings

SEGMENT_BYTES: Final = 8 * 2**20
#: What is set aside (refused, corrupt) is kept up to this size each, and counted beyond it.
ASIDE_BYTES: Final = 32 * 2**20
REFUSED: Final = "refused.jsonl"
CORRUPT: Final = "corrupt.jsonl"
TARGET: Final = "target.json"
AWAY: Final = "away"
_ASIDE: Final = frozenset({REFUSED, CORRUPT})
_MEASURE_SECONDS: Final = 1.0
_CREATE_ATTEMPTS: Final = 5


class SpoolFull(OSError):
    """The spool has reached AIRSIDE_SPOOL_MAX_BYTES."""


class Spool:
    """What this process spooled and has not delivered, oldest first. Not for several threads at once.

    Writing raises SpoolFull, and OSError where the folder cannot be written. Nothing is made on disk before the first
    event has to wait.
    """

    def __init__(self, folder: Path, *, max_bytes: int, about: dict[str, str] | None = None) -> None:
        self.folder = folder
        #: Events of this process that wait.
        self.waiting = 0
        self._max_bytes = max_bytes
        self._about = about or {}
        self._segments: deque[Segment] = deque()
        self._measured = 0.0
        self._total = 0

    @classmethod
    def of(cls, settings: EmitSettings) -> "Spool":
        """Make the spool for what the settings name."""
        return cls(
            settings.spool / settings.target,
            max_bytes=settings.spool_max_bytes,
            about={"url": settings.address, "token": "given" if settings.token else "none"},
        )

    def append(self, lines: Sequence[bytes]) -> None:
        """Keep events, all or none; they survive this process, not a loss of power."""
        size = sum(map(len, lines))
        self._make_room(size)
        if not self._segments or self._segments[-1].size >= SEGMENT_BYTES:
            self._segments.append(self._create())
        self._segments[-1].append(lines)
        self._total += size
        self.waiting += len(lines)

    def peek(self, max_lines: int, max_bytes: int) -> list[bytes]:
        """Read the oldest events of this process that wait."""
        while len(self._segments) > 1 and self._segments[0].waiting_bytes == 0:
            self._segments.popleft().close()
        return self._segments[0].peek(max_lines, max_bytes) if self.waiting else []

    def advance(self, lines: Sequence[bytes]) -> None:
        """Note that these, the oldest, are delivered."""
        self.waiting -= len(lines)
        self._segments[0].advance(sum(map(len, lines)))
        self._measured = 0.0

    def close(self) -> None:
        """Let go of the files; what waits in them is for the next process."""
        while self._segments:
            self._segments.popleft().close()
        self.waiting = 0

    def abandon(self) -> None:
        """Forget the files without touching them: in a forked child they are the parent's."""
        for segment in self._segments:
            segment.abandon()
        self._segments.clear()
        self.waiting = 0

    def left_over(self) -> Iterator[Segment]:
        """Take over what processes that are gone left, oldest first. Close each segment."""
        own = {segment.path for segment in self._segments}
        for path in segment_paths(self.folder):
            if path not in own and (segment := Segment.claim(path)):
                yield segment

    def set_aside(self, name: str, line: bytes, reason: str, status: int = 0) -> bool:
        """Keep an event that cannot be delivered, with the reason; False where there is no room for it."""
        text = line.rstrip(b"\n").decode(errors="replace")
        try:
            event = json.loads(text)
        except (ValueError, RecursionError):
            event = text
        at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        entry = {"at": at, "status": status, "reason": reason, "event": event}
        return append_bounded(self.folder / name, json.dumps(entry).encode() + b"\n")

    def _make_room(self, size: int) -> None:
        now = time.monotonic()
        if now - self._measured > _MEASURE_SECONDS or not self._measured:
            self._total, self._measured = total_bytes(self.folder), now
        if self._total + size > self._max_bytes:
            raise SpoolFull(f"{self.folder} holds {self._total:,} bytes of at most {self._max_bytes:,}")

    def _create(self) -> Segment:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._describe()
        for attempt in range(_CREATE_ATTEMPTS):
            name = f"{time.time_ns():020d}-{os.getpid()}-{os.urandom(3).hex()}{SUFFIX}"
            try:
                return Segment.create(self.folder / name)
            except FileExistsError:
                if attempt == _CREATE_ATTEMPTS - 1:
                    raise
        raise AssertionError

    def _describe(self) -> None:
        target = self.folder / TARGET
        if not target.exists():
            target.write_text(json.dumps(self._about))


def segment_paths(folder: Path) -> list[Path]:
    """List the segments of a folder, oldest first."""
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208
    except OSError:
        return []
    return [folder / name for name in names if name.endswith(SUFFIX) and name not in _ASIDE]


def total_bytes(folder: Path) -> int:
    """Add up the segments of a folder."""
    total = 0
    for path in segment_paths(folder):
        try:
            total += path.stat().st_size
        except OSError:
            continue  # delivered and deleted in between
    return total


def read_aside(file: Path) -> Iterator[dict[str, Any]]:
    """Give what was set aside, oldest first."""
    try:
        with file.open("rb") as opened:
            for line in opened:
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue
                if isinstance(entry, dict):
                    yield entry
    except OSError:
        return


def append_bounded(file: Path, line: bytes) -> bool:
    """Append a line to a file that several processes write, up to ASIDE_BYTES; tell whether it was kept."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            if os.fstat(descriptor).st_size + len(line) > ASIDE_BYTES:
                return False
            return os.write(descriptor, line) == len(line)
        finally:
            os.close(descriptor)
    except OSError:
        return False
