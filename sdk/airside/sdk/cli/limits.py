"""`airside limits`: how much may happen at once."""

from typing import Annotated

import typer

from airside.sdk.cli import options, output, tree
from airside.sdk.cli.failures import Failure
from airside.sdk.cli.options import AsJson

app = tree.new_group(("limits",), "Limit what flows and tasks do at once, or in a time.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="As in `concurrency(NAME)`; `tag:TAG` limits tasks by tag.")]


@app.command(epilog=tree.examples("airside limits ls --json"))
def ls(as_json: AsJson = False) -> None:
    """List limits, with what of each is held and how many wait."""
    with options.connect() as client:
        found = client.get("/api/limits")["items"]
    if as_json:
        output.as_json(found)
        return
    rows = (
        (
            item["name"],
            item["slots"],
            f"{item['per_seconds']:g} s" if item["per_seconds"] else "",
            item["used"],
            item["waiting"],
        )
        for item in found
    )
    output.table(("NAME", "SLOTS", "PER", "USED", "WAITING"), rows, empty="no limits")


@app.command(
    "set",
    epilog=tree.examples(
        "airside limits set warehouse 4", "airside limits set api 10 --per 1s", "airside limits set tag:heavy 2"
    ),
)
def set_(
    name: Name,
    slots: Annotated[int, typer.Argument(min=0, help="At once; with --per, in that time. 0 lets nothing begin.")],
    *,
    per: Annotated[str, typer.Option("--per", help="Makes it a rate: as 1s, 5m, 1h.")] = "",
    as_json: AsJson = False,
) -> None:
    """Make a limit or change it. What is held stays held."""
    from airside.sdk.client import path
    from airside.sdk.limits import seconds_of

    body: dict[str, object] = {"slots": slots}
    if per:
        try:
            body["per_seconds"] = seconds_of(per)
        except ValueError as error:
            raise Failure(f"--per: {error}") from error
    with options.connect() as client:
        made = client.request("PUT", path("limits", name), body=body)
    if as_json:
        output.as_json(made)
        return
    output.line(f"{name}: {slots}{f' per {per}' if per else ''}")


@app.command(epilog=tree.examples("airside limits show warehouse"))
def show(name: Name, as_json: AsJson = False) -> None:
    """Show who holds a limit, and who waits for it."""
    from airside.sdk.client import path

    with options.connect() as client:
        found = client.get(path("limits", name))
    if as_json:
        output.as_json(found)
        return
    rows = [
        (kind, entry["slots"], entry["holder"], entry["lease"])
        for kind, entries in (("held", found["leases"]), ("waits", found["queue"]))
        for entry in entries
    ]
    output.fields([("name", found["name"]), ("slots", found["slots"]), ("used", found["used"])])
    output.line()
    output.table(("", "SLOTS", "HOLDER", "LEASE"), rows, empty="nobody holds it")


@app.command(epilog=tree.examples("airside limits rm warehouse"))
def rm(name: Name, *, as_json: AsJson = False) -> None:
    """Remove a limit: nothing of this name is limited any more."""
    from airside.sdk.client import path

    with options.connect() as client:
        client.request("DELETE", path("limits", name))
    output.done(f"removed {name}", {"name": name, "removed": True}, json=as_json)
