"""`airside resources`: everything that events are about."""

from typing import Annotated

import typer

from airside.sdk.cli import options, output, tree
from airside.sdk.cli.options import AsJson, Utc

app = tree.new_group(("resources",), "Look at what events are about: tables, jobs, runs, queues.")


@app.command(
    epilog=tree.examples(
        "airside resources ls --kind table",
        "airside resources ls --resource 'job://prod/*' --label owner=sales-data --json",
    )
)
def ls(
    *,
    resource: options.Resource = None,
    kind: options.Kind = None,
    label: options.Labels = None,
    state: Annotated[str | None, typer.Option("--state", help="State, as the last event says: failed.")] = None,
    limit: options.Limit = 50,
    everything: options.All = False,
    utc: Utc = False,
    as_json: AsJson = False,
) -> None:
    """List resources, the ones seen last first."""
    labels = [f"{key}={value}" for key, value in options.pairs("--label", label, "KEY=VALUE")]
    parameters = {"resource": resource, "kind": kind, "state": state, "label": labels}
    found = options.listed("/api/resources", parameters, limit=limit, everything=everything)
    if as_json:
        output.as_json(found)
        return
    rows = (
        (item["id"], item["kind"], item["state"], item["last_type"], output.moment(item["last_seen"], utc=utc))
        for item in found
    )
    output.table(("ID", "KIND", "STATE", "LAST EVENT", "LAST SEEN"), rows, empty="no resource matches")


@app.command(epilog=tree.examples("airside resources show table://warehouse/sales"))
def show(resource_id: Annotated[str, typer.Argument(metavar="ID")], utc: Utc = False, as_json: AsJson = False) -> None:
    """Show one resource: its labels, its state, and the last event of each type."""
    from airside.sdk.client import path

    with options.connect() as client:
        item = client.get(path("resources", resource_id))
    if as_json:
        output.as_json(item)
        return
    output.fields(
        [
            ("id", item["id"]),
            ("kind", item["kind"]),
            ("name", item["name"]),
            ("state", item["state"]),
            *((f"  {key}", value) for key, value in item["labels"].items()),
            ("first seen", output.moment(item["first_seen"], utc=utc)),
            ("last seen", output.moment(item["last_seen"], utc=utc)),
            ("last event", f"{item['last_type']} {item['last_event_id']}"),
        ]
    )
    rows = (
        (event_type, output.moment(last["time"], utc=utc), last["position"], last["id"])
        for event_type, last in sorted((item["last_by_type"] or {}).items())
    )
    output.line()
    output.table(("LAST OF EACH TYPE", "HAPPENED", "POSITION", "ID"), rows)
