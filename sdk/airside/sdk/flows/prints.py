"""`log_prints`: what a function prints also goes to its run's logger. Only in runs that ask for it."""

import builtins
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any


def printed(line: str) -> None:
    """Take a printed line for the log of the run."""
    from airside.sdk.flows import logs  # noqa: PLC0415 - only runs that print need it

    logs.printed(line)


_sink: ContextVar[Callable[[str], None] | None] = ContextVar("airside_prints", default=None)
_print = builtins.print


@contextmanager
def logged(sink: Callable[[str], None] | None) -> Iterator[None]:
    """Give each printed line inside the block to `sink` too; None: leave printing as it is around the block."""
    if sink is None:
        yield
        return
    if builtins.print is not _logging_print:
        builtins.print = _logging_print
    token = _sink.set(sink)
    try:
        yield
    finally:
        _sink.reset(token)


def _logging_print(*values: Any, **options: Any) -> None:
    _print(*values, **options)
    sink = _sink.get()
    if sink is None or options.get("file") not in (None, sys.stdout):
        return
    text = io.StringIO()
    _print(*values, file=text, sep=options.get("sep", " "), end="")
    token = _sink.set(None)  # a sink that prints must not be given its own lines
    try:
        sink(text.getvalue())
    finally:
        _sink.reset(token)
