"""`airside views rebuild`: fold the log anew."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import typer

from airside.sdk.cli import options, output, tree
from airside.sdk.cli.failures import FAILED
from airside.sdk.cli.options import AsJson

if TYPE_CHECKING:
    from airside.sdk.client import Client

_PATH: Final = "/api/views/rebuild"
_POLL_SECONDS: Final = 0.2


def rebuild(*, as_json: AsJson = False) -> None:
    """Fold the log into new views, which then replace the old ones. Ctrl-C leaves it running on the server."""
    with options.connect() as client:
        state = _follow(client, client.request("POST", _PATH))
    if as_json:
        output.as_json(state)
    elif not state["error"]:
        output.line(f"views rebuilt from {state['position']:,} log positions")
    if state["error"]:
        output.note(f"error: the views were not rebuilt: {state['error']}")
        raise typer.Exit(FAILED)


rebuild.epilog = tree.examples("airside views rebuild", "airside views rebuild --json")  # type: ignore[attr-defined]


def _follow(client: "Client", state: dict[str, Any]) -> dict[str, Any]:
    with _progress() as show:
        while state["running"]:
            show(state["position"], state["target"])
            time.sleep(_POLL_SECONDS)
            state = client.get(_PATH)
    return state


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    if not sys.stderr.isatty():
        yield lambda position, target: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("rebuilding"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("rebuild", total=None)
        yield lambda position, target: bar.update(task, completed=position, total=target)
