"""`airside views rebuild`: fold the log anew."""

import time
from typing import TYPE_CHECKING, Any, Final

import typer

from airside.sdk.cli import options, output, progress, tree
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
    with progress.bar("rebuilding") as show:
        while state["running"]:
            show(state["position"], state["target"])
            time.sleep(_POLL_SECONDS)
            state = client.get(_PATH)
    return state
