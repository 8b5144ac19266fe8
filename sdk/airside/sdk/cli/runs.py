"""`airside runs`: what ran and what runs, whoever runs it."""

import json
from typing import Annotated, Any

import typer

from airside.sdk.cli import options, output, run_logs, tree
from airside.sdk.cli.options import AsJson, Utc

RunId = Annotated[str, typer.Argument(metavar="ID", help="The run's id, or its UUID alone.")]

#: Characters of the parameters that are shown; `--json` has all.
_MOST_SHOWN = 1_000

app = tree.new_group(("runs",), "Look at runs and steer them: of flows, Airflow DAGs, dbt commands, OpenLineage jobs.")
app.command("logs", epilog=run_logs.EXAMPLES)(run_logs.logs)


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
    source: Annotated[str | None, typer.Option("--source", help="airside, airflow, dbt, github and so on.")] = None,
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


@app.command(
    epilog=tree.examples(
        "airside runs show run://airflow/prod/nightly/scheduled__2026-11-22",
        "airside runs show 01939f6e-9a52-7c50-9a3c-d2c4b6a3c8aa",
    )
)
def show(run_id: RunId, utc: Utc = False, as_json: AsJson = False) -> None:
    """Show one run: its state, what ran inside it, and its events."""
    from airside.sdk.client import path

    with options.connect() as client:
        item = client.get(path("runs", run_id))
    if as_json:
        output.as_json(item)
        return
    output.fields(
        [
            *((name, item[name]) for name in ("id", "source", "job", "job_name", "name", "url")),
            *((name, item[name]) for name in ("parent", "state", "attempt")),
            *_asked(item, utc=utc),
            ("started", output.moment(item["started"], utc=utc)),
            ("ended", output.moment(item["ended"], utc=utc)),
            ("duration", output.lasted(item["duration"])),
            *_origin(item),
            *((f"  {key}", value) for key, value in item["labels"].items()),
            *_reasons(item),
            *_question(item),
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


@app.command(
    epilog=tree.examples(
        "airside runs cancel run://airside/01939f6e-9a52-7c50-9a3c-d2c4b6a3c8aa",
        "airside runs cancel 01939f6e-9a52-7c50-9a3c-d2c4b6a3c8aa --reason 'wrong day'",
    )
)
def cancel(
    run_id: RunId,
    *,
    force: Annotated[bool, typer.Option("--force", help="End it at once, without waiting for its process.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why; shown with the run.")] = "",
    as_json: AsJson = False,
) -> None:
    """Cancel a run: its process stops its code, and is killed after a time of grace when it does not."""
    _command(run_id, "cancel", {"force": force, "reason": reason}, as_json=as_json)


@app.command(epilog=tree.examples("airside runs pause 01939f6e-9a52-7c50-9a3c-d2c4b6a3c8aa"))
def pause(run_id: RunId, as_json: AsJson = False) -> None:
    """Let a run begin no further task until it is resumed; one that waits in a queue is held there."""
    _command(run_id, "pause", None, as_json=as_json)


@app.command(
    epilog=tree.examples(
        "airside runs resume 01939f6e-9a52-7c50-9a3c-d2c4b6a3c8aa",
        "airside runs resume 01939f6e-9a52-7c50-9a3c-d2c4b6a3c8aa --input approved=true --input rows=42",
    )
)
def resume(
    run_id: RunId,
    *,
    given: Annotated[
        list[str] | None, typer.Option("--input", help="NAME=VALUE of the answer it waits for. Repeat it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Resume a run that is paused or suspended, with the answer that it waits for."""
    pairs = options.pairs("--input", given, "NAME=VALUE")
    body = {"input": {name: _value(run_id, name, text) for name, text in pairs}} if pairs else None
    _command(run_id, "resume", body, as_json=as_json)


@app.command(epilog=tree.examples("airside runs start 01939f6e-9a52-7c50-9a3c-d2c4b6a3c8aa --here load.py:nightly"))
def start(
    run_id: RunId,
    here: Annotated[str, typer.Option("--here", metavar="FILE.py:FLOW", help="Where the flow is.")],
    given: Annotated[
        list[str] | None, typer.Option("--input", help="NAME=VALUE of the answer it waits for. Repeat it.")
    ] = None,
) -> None:
    """Carry a suspended run on in this process, from what it left on this machine. Needs no server."""
    from airside.sdk.flows import starting

    starting.start(run_id, here, dict(options.pairs("--input", given, "NAME=VALUE")))
    output.note(f"{output.plain(run_id)} is completed")


@app.command(epilog=tree.examples("airside runs retry 01939f6e-9a52-7c50-9a3c-d2c4b6a3c8aa"))
def retry(run_id: RunId, as_json: AsJson = False) -> None:
    """Run the same deployment again with the same parameters, as a new run.

    A run that was started by hand, where its code is, has no deployment: call the flow again.
    """
    _command(run_id, "retry", None, as_json=as_json)


def _asked(item: dict[str, Any], *, utc: bool) -> list[tuple[str, object]]:
    """Say what the run of a deployment was asked for with: when, by whom, where it waits, its parameters."""
    payload: dict[str, Any] = next(
        (one["payload"] for one in item["events"] if one["type"] == "flow_run.scheduled"), {}
    )
    found: list[tuple[str, object]] = [("due", output.moment(item.get("scheduled_for"), utc=utc))]
    found += [("asked for by", payload.get("created_by")), ("queue", payload.get("queue"))]
    found.append(("parameters", json.dumps(payload["parameters"])[:_MOST_SHOWN] if payload.get("parameters") else ""))
    return [(name, value) for name, value in found if value]


def _origin(item: dict[str, Any]) -> list[tuple[str, object]]:
    """Say which code ran and which agent claimed it; nothing of a run of which neither was told."""
    agent = item.get("agent") or {}
    named = " ".join(str(agent[key]) for key in ("name", "id") if agent.get(key))
    found = (("code version", item.get("code_version")), ("agent", named))
    return [(name, value) for name, value in found if value]


def _reasons(item: dict[str, Any]) -> list[tuple[str, object]]:
    """Say why a run ended as it did, as its events tell: what was wrong, and who wanted it to end, for what reason."""
    if item["state"] not in ("failed", "crashed", "cancelled"):
        return []
    found = []
    for event in item["events"]:
        word, payload = event["type"].partition(".")[2], event["payload"]
        if event["resource"]["id"] != item["id"] or word not in (item["state"], "cancelling"):
            continue
        message, error = str(payload.get("message") or ""), payload.get("error")
        if isinstance(error, dict) and str(error.get("message")) not in message:
            message = f"{message}; {error.get('type')}: {error.get('message')}".removeprefix("; ")
        if message:
            found.append(message)
    return [("why", text) for text in dict.fromkeys(found)]


def _question(item: dict[str, Any]) -> list[tuple[str, object]]:
    """Say what a run that waits for somebody asks, and how to answer."""
    if item["state"] not in ("paused", "suspended"):
        return []
    state = f"flow_run.{item['state']}"
    asked: dict[str, Any] = next((event["payload"] for event in reversed(item["events"]) if event["type"] == state), {})
    if "waits_for" not in asked:
        return []
    schema = asked.get("schema")
    names = list(schema.get("properties", {})) if isinstance(schema, dict) else []
    given = "".join(f" --input {name}=…" for name in names)
    uuid = item["id"].rpartition("/")[2]
    asks = [("asks", asked["message"])] if asked.get("message") else []
    return [*asks, ("answer with", f"airside runs resume {uuid}{given}")]


def _command(run_id: str, word: str, body: dict[str, Any] | None, *, as_json: bool) -> None:
    from airside.sdk.client import path

    with options.connect() as client:
        done = client.request("POST", path("runs", run_id, word), body=body)
    if as_json:
        output.as_json(done)
    else:
        output.line(f"{done.get('id', run_id)} is {done['state']}")


def _value(run_id: str, name: str, text: str) -> Any:
    """Read a value as the run asks for it: text where it wants text, else JSON where it is any."""
    from airside.sdk.client import path

    with options.connect() as client:
        schema = client.get(path("runs", run_id, "state"))["event"]["payload"].get("schema") or {}
    asked = schema.get("properties", {}).get(name, {}) if isinstance(schema, dict) else {}
    if isinstance(asked, dict) and asked.get("type") == "string":
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _table(found: list[dict[str, Any]], *, utc: bool, empty: str = "nothing found") -> None:
    rows = (
        (
            item["id"],
            item["source"],
            item["job_name"] or item["job"],
            item["state"],
            output.moment(item["started"], utc=utc),
            output.lasted(item["duration"]),
            output.moment(item.get("scheduled_for"), utc=utc),
        )
        for item in found
    )
    output.table(("ID", "SOURCE", "JOB", "STATE", "STARTED", "TOOK", "DUE"), rows, empty=empty)
