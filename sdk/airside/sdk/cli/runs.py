"""`airside runs`: what ran and what runs, whoever runs it."""

from typing import Annotated, Any

import typer

from airside.sdk.cli import options, output, tree
from airside.sdk.cli.options import AsJson, Utc

app = tree.new_group(("runs",), "Look at runs: of flows, Airflow DAGs, dbt commands, OpenLineage jobs.")


@app.command(
    epilog=tree.examples(
        "airside runs ls --state failed --since 24h",
        "airside runs ls --source airflow --job 'nightly*' --json",
        "airside runs ls --parent run://dbt/5d59219a-1308-4eff-97b8-832acc78d6a2",
    )
)
def ls(
    *,
    state: Annotated[
        list[str] | None, typer.Option("--state", help="As `failed`. Repeat it for any of several.")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", help="airside, airflow, dbt, openlineage or prefect.")
    ] = None,
    job: Annotated[str | None, typer.Option("--job", help="Id or name of the job, with `*` and `?`.")] = None,
    parent: Annotated[str | None, typer.Option("--parent", help="Only what ran inside this run.")] = None,
    tasks: Annotated[bool, typer.Option("--tasks", help="Tasks and dbt nodes too, not only whole runs.")] = False,
    label: options.Labels = None,
    since: Annotated[
        str | None, typer.Option("--since", help="Started then or later: a time with a zone, or like 24h.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", help="Started before: a time with a zone, or like 24h.")
    ] = None,
    limit: options.Limit = 50,
    everything: options.All = False,
    utc: Utc = False,
    as_json: AsJson = False,
) -> None:
    """List runs, the newest first."""
    labels = [f"{key}={value}" for key, value in options.pairs("--label", label, "KEY=VALUE")]
    parameters = {
        "state": state,
        "source": source,
        "kind": None if tasks or parent else "run",
        "job": job,
        "parent": parent,
        "label": labels,
        "since": since,
        "until": until,
    }
    found = options.listed("/api/runs", parameters, limit=limit, everything=everything)
    if as_json:
        output.as_json(found)
        return
    _table(found, utc=utc, empty="no run matches")


@app.command(epilog=tree.examples("airside runs show run://airflow/prod/nightly/scheduled__2026-11-22"))
def show(run_id: Annotated[str, typer.Argument(metavar="ID")], utc: Utc = False, as_json: AsJson = False) -> None:
    """Show one run: its state, what ran inside it, and its events."""
    from airside.sdk.client import path

    with options.connect() as client:
        item = client.get(path("runs", run_id))
    if as_json:
        output.as_json(item)
        return
    output.fields(
        [
            *((name, item[name]) for name in ("id", "source", "job", "job_name", "name", "parent", "state", "attempt")),
            ("started", output.moment(item["started"], utc=utc)),
            ("ended", output.moment(item["ended"], utc=utc)),
            ("duration", _seconds(item["duration"])),
            *((f"  {key}", value) for key, value in item["labels"].items()),
        ]
    )
    if item["children"]:
        output.line()
        _table(item["children"], utc=utc)
    output.line()
    rows = (
        (event["position"], output.moment(event["time"], utc=utc), event["type"], event["resource"]["id"], event["id"])
        for event in item["events"]
    )
    output.table(("POSITION", "HAPPENED", "TYPE", "RESOURCE", "EVENT"), rows)


def _table(found: list[dict[str, Any]], *, utc: bool, empty: str = "nothing found") -> None:
    rows = (
        (
            item["id"],
            item["source"],
            item["job_name"] or item["job"],
            item["state"],
            output.moment(item["started"], utc=utc),
            _seconds(item["duration"]),
        )
        for item in found
    )
    output.table(("ID", "SOURCE", "JOB", "STATE", "STARTED", "TOOK"), rows, empty=empty)


def _seconds(value: Any) -> str:
    return "" if value is None else f"{value:.1f} s"
