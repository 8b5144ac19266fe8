"""`airside events`: put events on the log, look at them, take them out."""

from pathlib import Path
from typing import Annotated, Any

import typer

from airside.sdk.cli import options, output, tree
from airside.sdk.cli.failures import Failure
from airside.sdk.cli.options import AsJson, Utc

app = tree.new_group(("events",), "Put events on the log, look at them, take them out.")


@app.command(
    epilog=tree.examples(
        "airside events emit table.updated --resource table://warehouse/sales --payload '{\"rows\": 42}'",
        "airside events emit check.failed --resource table://warehouse/sales --label team=finance --related job=job://dq",
        "airside events emit file.landed --resource s3://lake/raw/1.csv --id s3:1.csv --time 2026-11-22T09:00:00+01:00",
    )
)
def emit(
    event_type: Annotated[str, typer.Argument(metavar="TYPE", help="Dotted words, as table.updated.")],
    *,
    resource: Annotated[str, typer.Option("--resource", help="Id of what it is about, as table://warehouse/sales.")],
    label: Annotated[list[str] | None, typer.Option("--label", help="Label of the resource, KEY=VALUE.")] = None,
    related: Annotated[list[str] | None, typer.Option("--related", help="Another resource, ROLE=ID.")] = None,
    payload: Annotated[str | None, typer.Option("--payload", help="The rest, as a JSON object.")] = None,
    event_id: Annotated[str | None, typer.Option("--id", help="Its identity: a repeat counts once.")] = None,
    time: Annotated[str | None, typer.Option("--time", help="When it happened, with a zone. Default: now.")] = None,
    source: Annotated[str | None, typer.Option("--source", help="Who says so. Default: this machine.")] = None,
    as_json: AsJson = False,
) -> None:
    """Put one event on the log. Returns once it is on disk."""
    from airside.events.model import uuid7

    labels = dict(options.pairs("--label", label, "KEY=VALUE"))
    event: dict[str, Any] = {
        "id": event_id or uuid7(),
        "type": event_type,
        "source": source or _this_machine(),
        "resource": {"id": resource, **({"labels": labels} if labels else {})},
        "payload": options.json_object("--payload", payload),
    }
    if related:
        pairs = options.pairs("--related", related, "ROLE=ID")
        event["related"] = [{"role": role, "id": identifier} for role, identifier in pairs]
    if time:
        event["time"] = time
    with options.connect() as client:
        result = client.request("POST", "/api/events", body=event)
    if as_json:
        output.as_json({"id": event["id"], **result})
    elif result["duplicates"]:
        output.line(f"an event with the id {event['id']} is already on the log; it counts once")
    else:
        output.line(f"accepted at position {result['first']} with the id {event['id']}")


@app.command(
    epilog=tree.examples(
        "airside events ls --type 'flow_run.*' --since 2h",
        "airside events ls --resource 'table://warehouse/*' --label team=finance --json",
    )
)
def ls(
    *,
    types: options.Types = None,
    resource: options.Resource = None,
    kind: options.Kind = None,
    label: options.Labels = None,
    source: options.Source = None,
    related: options.Related = None,
    since: options.Since = None,
    until: options.Until = None,
    limit: options.Limit = 50,
    everything: options.All = False,
    utc: Utc = False,
    as_json: AsJson = False,
) -> None:
    """List events, the newest first."""
    parameters = _selection(types=types, resource=resource, kind=kind, label=label, source=source, related=related) | {
        "since": since,
        "until": until,
    }
    found = options.listed("/api/events", parameters, limit=limit, everything=everything)
    if as_json:
        output.as_json(found)
        return
    rows = (
        (
            event["position"],
            output.moment(event["received"], utc=utc),
            event["type"],
            event["resource"]["id"],
            event["id"],
        )
        for event in found
    )
    output.table(("POSITION", "RECEIVED", "TYPE", "RESOURCE", "ID"), rows, empty="no event matches")


@app.command(
    epilog=tree.examples(
        "airside events tail --type 'openlineage.run.>'",
        "airside events tail --after 1200 --json | jq .resource.id",
    )
)
def tail(
    *,
    types: options.Types = None,
    resource: options.Resource = None,
    kind: options.Kind = None,
    label: options.Labels = None,
    source: options.Source = None,
    related: options.Related = None,
    after: Annotated[
        int | None, typer.Option("--after", min=0, help="Begin behind this log position. Default: what is new.")
    ] = None,
    utc: Utc = False,
    as_json: AsJson = False,
) -> None:
    """Watch events as they come, until Ctrl-C. A lost connection is taken up again where it was."""
    parameters = _selection(types=types, resource=resource, kind=kind, label=label, source=source, related=related)
    with options.connect() as client:
        lost = lambda reason: output.note(f"{reason}; trying again")  # noqa: E731
        try:
            for event in client.follow_events(parameters, after=after, on_lost=lost):
                if as_json:
                    output.as_json_line(event)
                else:
                    _print_line(event, utc=utc)
        except KeyboardInterrupt:
            raise typer.Exit(0) from None


@app.command(epilog=tree.examples("airside events show ol:2ddb4a5b95012cc0a55a4f2fa9caa784d191cb82"))
def show(event_id: Annotated[str, typer.Argument(metavar="ID")], utc: Utc = False, as_json: AsJson = False) -> None:
    """Show one event with everything it says."""
    from airside.sdk.client import path

    with options.connect() as client:
        event = client.get(path("events", event_id))
    if as_json:
        output.as_json(event)
        return
    output.fields(_shown(event, utc=utc))
    output.line("payload")
    output.as_json(event["payload"])


@app.command(
    epilog=tree.examples(
        "airside events export -o log.ndjson",
        "airside events export --since 30d | gzip > log.ndjson.gz",
    )
)
def export(
    *,
    file: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="File to write, whole or not at all; gzipped if it ends in .gz. Default: stdout."
        ),
    ] = None,
    first: Annotated[int | None, typer.Option("--first", min=1, help="The first log position.")] = None,
    last: Annotated[int | None, typer.Option("--last", min=0, help="The last log position.")] = None,
    since: options.Since = None,
    until: options.Until = None,
) -> None:
    """Write the log as NDJSON, one event a line with its `position` and `received`."""
    from airside.sdk.cli import exporting

    exporting.run({"first": first, "last": last, "since": since, "until": until}, file)


@app.command("dead-letters", epilog=tree.examples("airside events dead-letters --json"))
def dead_letters(
    limit: options.Limit = 50, everything: options.All = False, utc: Utc = False, as_json: AsJson = False
) -> None:
    """List log entries that could not be read as events, and why. Nothing else waits for them."""
    found = options.listed("/api/events/dead-letters", limit=limit, everything=everything)
    if as_json:
        output.as_json(found)
        return
    rows = (
        (entry["position"], output.moment(entry["received"], utc=utc), entry["reason"], entry["subject"])
        for entry in found
    )
    output.table(("POSITION", "RECEIVED", "REASON", "SUBJECT"), rows, empty="no dead letters: everything was read")


def _selection(
    *,
    types: list[str] | None,
    resource: str | None,
    kind: str | None,
    label: list[str] | None,
    source: str | None,
    related: str | None,
) -> dict[str, Any]:
    return {
        "type": types or [],
        "resource": resource,
        "kind": kind,
        "label": [f"{key}={value}" for key, value in options.pairs("--label", label, "KEY=VALUE")],
        "source": source,
        "related": related,
    }


def _print_line(event: dict[str, Any], *, utc: bool) -> None:
    import sys

    received = output.moment(event["received"], utc=utc)
    cells = (str(event["position"]), received, event["type"], event["resource"]["id"])
    separator = "  " if sys.stdout.isatty() else "\t"
    output.line(separator.join(output.plain(cell) for cell in cells))
    sys.stdout.flush()


def _shown(event: dict[str, Any], *, utc: bool) -> list[tuple[str, object]]:
    resource = event["resource"]
    pairs: list[tuple[str, object]] = [
        ("id", event["id"]),
        ("type", event["type"]),
        ("happened", output.moment(event["time"], utc=utc)),
        ("received", output.moment(event["received"], utc=utc)),
        ("position", event["position"]),
        ("source", event["source"]),
        ("resource", resource["id"]),
        *((f"  {key}", value) for key, value in resource["labels"].items()),
    ]
    pairs += [(f"related {entry['role']}", entry["id"]) for entry in event["related"]]
    pairs += [("caused by", cause) for cause in event["causes"]]
    return pairs


def _this_machine() -> str:
    import socket

    try:
        return f"cli://{socket.gethostname() or 'localhost'}"
    except OSError as error:
        raise Failure("this machine has no name to say who speaks", hint="give one with --source") from error
