"""What lies in the spool, for people: how much waits, since when, what was refused."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from airside.sdk.emitting.segment import cursor_of
from airside.sdk.emitting.spool import AWAY, CORRUPT, REFUSED, TARGET, segment_paths

_CHUNK: Final = 2**20


@dataclass(frozen=True, slots=True)
class Target:
    """The spool for one server and token."""

    folder: Path
    url: str
    waiting: int
    bytes: int
    #: When the oldest event that waits happened, as its producer said.
    since: str
    #: Segments that a living process is writing.
    in_use: int
    refused: int
    corrupt: int
    #: Seconds until the next try, when the server was found away.
    next_try_seconds: float


def targets(root: Path) -> list[Target]:
    """Describe each folder of the spool."""
    try:
        folders = sorted(path for path in root.iterdir() if path.is_dir())
    except OSError:
        return []
    return [_describe(folder) for folder in folders]


def waiting(folder: Path) -> Iterator[dict[str, Any]]:
    """Give the events that wait in a folder, oldest first; damaged lines are left out."""
    for path in segment_paths(folder):
        for line in _lines_waiting(path):
            try:
                event = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(event, dict):
                yield event


def _describe(folder: Path) -> Target:
    paths = segment_paths(folder)
    oldest = next(waiting(folder), {})
    return Target(
        folder=folder,
        url=_url(folder),
        waiting=sum(_count(path) for path in paths),
        bytes=sum(max(_size(path) - cursor_of(path), 0) for path in paths),
        since=str(oldest.get("time", "")),
        in_use=sum(_is_locked(path) for path in paths),
        refused=_count(folder / REFUSED),
        corrupt=_count(folder / CORRUPT),
        next_try_seconds=_next_try(folder / AWAY),
    )


def _url(folder: Path) -> str:
    try:
        return str(json.loads((folder / TARGET).read_text())["url"])
    except (OSError, ValueError, KeyError, TypeError):
        return "unknown"


def _lines_waiting(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as opened:
            opened.seek(cursor_of(path))
            yield from opened
    except OSError:
        return


def _count(path: Path) -> int:
    try:
        with path.open("rb") as opened:
            opened.seek(cursor_of(path))
            return sum(chunk.count(b"\n") for chunk in iter(lambda: opened.read(_CHUNK), b""))
    except OSError:
        return 0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _is_locked(path: Path) -> bool:
    """Tell whether a living process holds a segment. The shared lock is had for a moment and harms nobody."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _next_try(file: Path) -> float:
    try:
        return max(float(file.read_text()) - time.time(), 0.0)
    except (OSError, ValueError):
        return 0.0
