"""Writing an export: to stdout as it comes, or to a file that is whole or not there."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from airside.sdk.cli import options, output
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
        opened = part.open("w", encoding="utf-8")
    except OSError as error:
        raise Failure(f"cannot write {file}: {error.strerror}") from error
    try:
        with opened:
            number = _copy(client, parameters, opened, total)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    return number


def _copy(client: Client, parameters: dict[str, Any], target: TextIO, total: int | None) -> int:
    number = 0
    with _progress(total) as advance, client.stream("/api/events/export", parameters) as lines:
        for line in lines:
            target.write(line + "\n")
            number += 1
            advance(1)
    target.flush()
    return number


def _expected(client: Client, parameters: dict[str, Any]) -> int | None:
    """Tell how many lines to expect, for the progress bar; None when a time decides."""
    if parameters["since"] or parameters["until"]:
        return None
    log = client.get("/api/status")["log"]
    first, last = max(parameters["first"] or 1, int(log["first"])), int(log["last"])
    return max(0, min(last, last if parameters["last"] is None else parameters["last"]) - first + 1)


@contextmanager
def _progress(total: int | None) -> Iterator[Callable[[int], None]]:
    if not sys.stderr.isatty():
        yield lambda number: None
        return
    from rich.console import Console
    from rich.progress import BarColumn as Bar
    from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("exporting"), Bar(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("export", total=total)
        yield lambda number: bar.advance(task, number)
