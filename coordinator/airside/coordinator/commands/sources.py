"""Where events to test rules on come from: an export in a file, or the log of a running server."""

import gzip
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from airside.events import stored
from airside.sdk.cli import options, progress

#: Lines between two looks at how far the file is read.
_STRIDE: Final = 20_000


@contextmanager
def export(name: str) -> Iterator[Iterable[bytes]]:
    """Open an export, a file that may be gzipped or stdin (`-`), and show how far it is read. Raises OSError."""
    if name == "-":
        yield sys.stdin.buffer
        return
    path = Path(name)
    with path.open("rb") as raw, progress.bar("folding", path.stat().st_size, counted=False) as show:
        if path.suffix == ".gz":
            with gzip.open(raw, "rb") as unpacked:
                yield _watched(unpacked, raw, show)
        else:
            yield _watched(raw, raw, show)


@contextmanager
def server(parameters: dict[str, Any]) -> Iterator[tuple[bool, Iterable[bytes]]]:
    """Stream the log from the server that the settings name: as it stands, or exported by a server that is older.

    Gives whether it comes as it stands, and the lines.
    """
    with options.connect() as client:
        last = int(client.get("/api/status")["log"]["last"])
        with (
            progress.bar("folding", None if parameters.get("since") else last) as show,
            client.lines("/api/events/export", parameters, {"Accept": stored.MEDIA_TYPE}) as (media_type, lines),
        ):
            yield media_type == stored.MEDIA_TYPE, _numbered(lines, show)


def _watched(lines: Iterable[bytes], raw: IO[bytes], show: Callable[..., None]) -> Iterator[bytes]:
    for number, line in enumerate(lines, 1):
        if not number % _STRIDE:
            show(raw.tell(), None)
        yield line


def _numbered(lines: Iterable[bytes], show: Callable[..., None]) -> Iterator[bytes]:
    for number, line in enumerate(lines, 1):
        if not number % _STRIDE:
            show(number)
        yield line
