"""Writing an export: to stdout as it comes, or to a file that is whole or not there."""

import gzip
import sys
from pathlib import Path
from typing import IO, Any

from airside.sdk.cli import options, output, progress
from airside.sdk.cli.failures import Failure
from airside.sdk.client import Client

#: Lines between two looks at how far it is.
_STRIDE = 5_000


def run(parameters: dict[str, Any], file: Path | None) -> None:
    """Export events. Leaves no file behind when the export does not come to its end."""
    with options.connect() as client:
        total = _expected(client, parameters)
        if file is None:
            number = _copy(client, parameters, sys.stdout.buffer, total)
        else:
            number = _to_file(client, parameters, file, total)
    output.note(f"exported {output.count(number, 'event')}{f' to {file}' if file else ''}")


def _to_file(client: Client, parameters: dict[str, Any], file: Path, total: int | None) -> int:
    part = file.with_name(f"{file.name}.part")
    try:
        opened = _open(part, packed=file.suffix == ".gz")
    except OSError as error:
        raise Failure(f"cannot write {file}: {error.strerror}") from error
    try:
        with opened:
            number = _copy(client, parameters, opened, total)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    return number


def _open(part: Path, *, packed: bool) -> IO[bytes]:
    return gzip.open(part, "wb") if packed else part.open("wb")  # type: ignore[return-value]


def _copy(client: Client, parameters: dict[str, Any], target: IO[bytes], total: int | None) -> int:
    number = 0
    with progress.bar("exporting", total) as show, client.lines("/api/events/export", parameters) as (_, lines):
        for line in lines:
            target.write(line + b"\n")
            number += 1
            if not number % _STRIDE:
                show(number)
        show(number)
    target.flush()
    return number


def _expected(client: Client, parameters: dict[str, Any]) -> int | None:
    """Tell how many lines to expect, for the progress bar; None when a time decides."""
    if parameters["since"] or parameters["until"]:
        return None
    log = client.get("/api/status")["log"]
    first, last = max(parameters["first"] or 1, int(log["first"])), int(log["last"])
    return max(0, min(last, last if parameters["last"] is None else parameters["last"]) - first + 1)
