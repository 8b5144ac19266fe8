"""One file of events that wait: a line each, appended by the one process that holds its lock.

    <name>.jsonl     the events
    <name>.at        how many bytes of it are delivered

The lock (flock) goes with the process, however that ends. Who gets the lock of a file owns what is in it.
"""

import errno
import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

SUFFIX: Final = ".jsonl"
_CURSOR: Final = ".at"


class Segment:
    """A locked segment. Not for several threads at once. Methods raise OSError."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._cursor = path.with_suffix(_CURSOR)
        self.size = os.fstat(descriptor).st_size
        self.delivered = found if (found := cursor_of(path)) <= self.size else 0

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make a new segment and lock it. Raises OSError, also when somebody was quicker: take another name then."""
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        found = cls._locked(path, descriptor)
        if found is None:
            raise FileExistsError(errno.EEXIST, "another process took the new file", str(path))
        return found

    @classmethod
    def claim(cls, path: Path) -> Self | None:
        """Take over a segment whose owner is gone; None while it has one, or when it is no more."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
        except FileNotFoundError:
            return None
        return cls._locked(path, descriptor)

    @classmethod
    def _locked(cls, path: Path, descriptor: int) -> Self | None:
        """Lock an open file. One that was deleted before the lock was had is nobody's: writes to it would be lost."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_ino == os.stat(path).st_ino:  # noqa: PTH116
                return cls(path, descriptor)
        except OSError:
            pass
        os.close(descriptor)
        return None

    @property
    def waiting_bytes(self) -> int:
        """Bytes that are not delivered yet."""
        return self.size - self.delivered

    def append(self, lines: Sequence[bytes]) -> None:
        """Write events to the end, all or none. Returns when the system has them: they survive this process."""
        data = b"".join(lines)
        try:
            written = os.write(self._descriptor, data)
        except OSError:
            os.ftruncate(self._descriptor, self.size)
            raise
        if written < len(data):  # the disk is full in the middle
            os.ftruncate(self._descriptor, self.size)
            raise OSError(errno.ENOSPC, "no space left on the device")
        self.size += written

    def peek(self, max_lines: int, max_bytes: int) -> list[bytes]:
        """Read the oldest events that wait, at least one; the last may lack its line end when its writer died."""
        data = os.pread(self._descriptor, max_bytes, self.delivered)
        if self.delivered + len(data) < self.size and b"\n" not in data:
            data = os.pread(self._descriptor, self.size - self.delivered, self.delivered)
            return [data.partition(b"\n")[0] + b"\n"] if b"\n" in data else [data]
        lines = _lines(data)
        if lines and self.delivered + len(data) < self.size and not lines[-1].endswith(b"\n"):
            lines.pop()
        return lines[:max_lines]

    def advance(self, size: int) -> None:
        """Note that so many further bytes are delivered; an empty segment starts from nothing."""
        self.delivered += size
        if self.delivered < self.size:
            self._write_cursor()
            return
        # The cursor goes first: one that is left behind an emptied file would hide the next events.
        self._cursor.unlink(missing_ok=True)
        os.ftruncate(self._descriptor, 0)
        self.size = self.delivered = 0

    def close(self) -> None:
        """Let go of the file, which is deleted if nothing in it waits."""
        if self._descriptor < 0:
            return
        try:
            if self.waiting_bytes == 0:
                self._cursor.unlink(missing_ok=True)
                self.path.unlink(missing_ok=True)
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close the file and nothing else: in a forked child it is the parent's."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _write_cursor(self) -> None:
        try:
            self._cursor.write_text(str(self.delivered))
        except OSError:
            pass  # what is sent again counts once


def _lines(data: bytes) -> list[bytes]:
    parts = data.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def cursor_of(path: Path) -> int:
    """Read how many bytes of a segment are delivered."""
    try:
        return max(int(path.with_suffix(_CURSOR).read_text()), 0)
    except (OSError, ValueError):
        return 0
