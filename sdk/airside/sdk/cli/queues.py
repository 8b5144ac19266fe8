"""`airside queues`: where runs wait for agents."""

from typing import Annotated, Any

import typer

from airside.sdk.cli import options, output, tree
from airside.sdk.cli.failures import Failure
from airside.sdk.cli.options import AsJson, Utc

app = tree.new_group(("queues",), "Make queues of runs, look at them, pause them, limit them.")

Name = Annotated[str, typer.Argument(metavar="NAME")]


@app.command(epilog=tree.examples("airside queues ls", "airside queues ls --json"))
def ls(utc: Utc = False, as_json: AsJson = False) -> None:
    """List queues: what waits and for how long, what runs, the limit, the agents, since when it is paused."""
    with options.connect() as client:
        found = client.get("/api/queues")["items"]
    if as_json:
        output.as_json(found)
        return
    rows = (
        (
            item["name"],
            item["waiting"],
            _wait(item["oldest_wait_seconds"]),
            item["running"],
            item["limit"],
            ", ".join(item["agents"]) or ("none" if item["waiting"] else ""),
            output.moment(item["paused_since"], utc=utc) or ("yes" if item["paused"] else ""),
        )
        for item in found
    )
    headers = ("NAME", "WAITING", "OLDEST WAIT", "RUNNING", "LIMIT", "AGENTS", "PAUSED SINCE")
    output.table(headers, rows, empty="no queues")
    for item in found:
        if item["waiting"] and not item["agents"]:
            output.note(f"no living agent takes runs of {output.plain(item['name'])}")
        for one in item["unstartable"] if item["waiting"] else ():
            said = f"{output.plain(item['name'])}: runs of {output.plain(one['deployment'])} wait for an agent"
            output.note(f"{said} with {output.plain(one['needs'])}; none here has it")


@app.command(epilog=tree.examples("airside queues create warehouse", "airside queues create warehouse --limit 3"))
def create(
    name: Name,
    *,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="At most so many of its runs at once with all agents.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a queue. Those that deployments and agents name are there without."""
    with options.connect() as client:
        made = client.request("POST", "/api/queues", body={"name": name, "limit": limit})
    output.done(f"{name} is there", made, json=as_json)


@app.command(epilog=tree.examples("airside queues rm warehouse"))
def rm(name: Name, *, as_json: AsJson = False) -> None:
    """Remove a queue that nothing uses, with its pause and its limit."""
    from airside.sdk.client import path

    with options.connect() as client:
        client.request("DELETE", path("queues", name))
    output.done(f"removed {name}", {"name": name, "removed": True}, json=as_json)


@app.command(epilog=tree.examples("airside queues pause warehouse"))
def pause(name: Name, *, as_json: AsJson = False) -> None:
    """Hand out none of its runs until it is resumed. What runs goes on."""
    _change(name, "pause", None)
    output.done(f"{name} is paused", {"name": name, "paused": True}, json=as_json)


@app.command(epilog=tree.examples("airside queues resume warehouse"))
def resume(name: Name, *, as_json: AsJson = False) -> None:
    """Hand out its runs again."""
    _change(name, "resume", None)
    output.done(f"{name} is resumed", {"name": name, "paused": False}, json=as_json)


@app.command(epilog=tree.examples("airside queues limit warehouse 3", "airside queues limit warehouse none"))
def limit(
    name: Name,
    most: Annotated[str, typer.Argument(metavar="NUMBER", help="At most so many at once with all agents; or `none`.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Limit how many of its runs are with agents at once."""
    if most != "none" and not most.isdigit():
        raise Failure(f"`{most}` must be a number, or `none`")
    slots = None if most == "none" else int(most)
    _change(name, "limit", {"limit": slots})
    output.done(f"{name}: {'no limit' if slots is None else slots}", {"name": name, "limit": slots}, json=as_json)


def _change(name: str, word: str, body: dict[str, Any] | None) -> None:
    from airside.sdk.client import path

    with options.connect() as client:
        is_known = any(item["name"] == name for item in client.get("/api/queues")["items"])
        client.request("POST", path("queues", name, word), body=body)
    if not is_known:
        output.note(f"no deployment and no agent names {output.plain(name)} so far")


def _wait(seconds: float | None) -> str:
    """Write how long somebody waits, with units: `45s`, `3m 20s`, `2h 5m`, `3d 4h`."""
    if seconds is None:
        return ""
    left = round(seconds)
    for unit, length, smaller, part in (("d", 86_400, "h", 3_600), ("h", 3_600, "m", 60), ("m", 60, "s", 1)):
        if left >= length:
            return f"{left // length}{unit} {left % length // part}{smaller}"
    return f"{left}s" if left else f"{seconds:.1g}s"
