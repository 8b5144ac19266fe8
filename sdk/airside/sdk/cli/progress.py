"""Progress bars on stderr, where there is a terminal; silence elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

#: Takes how much is done by now, and how much there is to do when that is known only now.
Show: TypeAlias = Callable[..., None]


@contextmanager
def bar(title: str, total: float | None = None, *, counted: bool = True) -> Iterator[Show]:
    """Show progress while the block lasts. `counted` shows numbers of things, else a percentage."""
    if not sys.stderr.isatty():
        yield _silent
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    numbers = (MofNCompleteColumn(), TimeRemainingColumn()) if counted else (TaskProgressColumn(),)
    with Progress(TextColumn(title), BarColumn(), *numbers, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(title, total=total)

        def show(done: float, total: float | None = None) -> None:
            shown.update(task, completed=done, total=total)

        yield show


def _silent(done: float, total: float | None = None) -> None:
    pass
