"""Writing an export: to stdout as it comes, or to a file that is whole or not there."""

import gzip
import sys
from pathlib import Path
from typing import Any, TextIO

from airside.sdk.cli import options, output, progress
from airside.sdk.cli.failures import Failure
from airside.sdk.client import Client


def run(parameters: dict[str, Any], file: Path | None) -> None:
    """Export events. Leaves no file behind when the export does not come to its end."""
    with options.connect() as client:
        total = _expected(client, parameters)
        if file is None:
            number = _copy(client, parameters, sys.stdout, total)
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


def _open(part: Path, *, packed: bool) -> TextIO:
    return gzip.open(part, "wt", encoding="utf-8") if packed else part.open("w", encoding="utf-8")


def _copy(client: Client, parameters: dict[str, Any], target: TextIO, total: int | None) -> int:
    number = 0
    with progress.bar("exporting", total) as show, client.stream("/api/events/export", parameters) as lines:
        for line in lines:
            target.write(line + "\n")
            number += 1
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
