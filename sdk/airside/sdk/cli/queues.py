"""`airside queues`: where runs wait for agents."""

from typing import Annotated, Any

import typer

from airside.sdk.cli import options, output, tree
from airside.sdk.cli.failures import Failure
from airside.sdk.cli.options import AsJson

app = tree.new_group(("queues",), "Look at the queues of runs, pause them, limit them.")

Name = Annotated[str, typer.Argument(metavar="NAME")]


@app.command(epilog=tree.examples("airside queues ls", "airside queues ls --json"))
def ls(as_json: AsJson = False) -> None:
    """List queues: what waits, what runs, the limit, the agents."""
    with options.connect() as client:
        found = client.get("/api/queues")["items"]
    if as_json:
        output.as_json(found)
        return
    rows = (
        (
            item["name"],
            item["waiting"],
            item["running"],
            item["limit"],
            ", ".join(item["agents"]),
            "yes" if item["paused"] else "no",
        )
        for item in found
    )
    output.table(("NAME", "WAITING", "RUNNING", "LIMIT", "AGENTS", "PAUSED"), rows, empty="no queues")


@app.command(epilog=tree.examples("airside queues pause warehouse"))
def pause(name: Name) -> None:
    """Hand out none of its runs until it is resumed. What runs goes on."""
    _change(name, "pause", None)
    output.line(f"{name} is paused")


@app.command(epilog=tree.examples("airside queues resume warehouse"))
def resume(name: Name) -> None:
    """Hand out its runs again."""
    _change(name, "resume", None)
    output.line(f"{name} is resumed")


@app.command(epilog=tree.examples("airside queues limit warehouse 3", "airside queues limit warehouse none"))
def limit(
    name: Name,
    most: Annotated[str, typer.Argument(metavar="NUMBER", help="At most so many at once with all agents; or `none`.")],
) -> None:
    """Limit how many of its runs are with agents at once."""
    if most != "none" and not most.isdigit():
        raise Failure(f"`{most}` must be a number, or `none`")
    _change(name, "limit", {"limit": None if most == "none" else int(most)})
    output.line(f"{name}: {'no limit' if most == 'none' else most}")


def _change(name: str, word: str, body: dict[str, Any] | None) -> None:
    from airside.sdk.client import path

    with options.connect() as client:
        client.request("POST", path("queues", name, word), body=body)
