"""`airside deployments`: flows that the server can have started."""

from typing import Annotated, Final

import typer

from airside.sdk.cli import deployments_apply, deployments_build, deployments_schedules, options, output, tree
from airside.sdk.cli.deployments_shared import Name, infrastructure, path_of, values, when
from airside.sdk.cli.failures import FAILED, Failure
from airside.sdk.cli.options import AsJson

_NEXT: Final = 5  # runs that `show` lists

app = tree.new_group(("deployments",), "Say which flows the server may have started, where, and when.")

app.command(epilog=tree.examples(*deployments_build.EXAMPLES))(deployments_build.build)
app.command(epilog=tree.examples(*deployments_apply.EXAMPLES))(deployments_apply.apply)
app.add_typer(deployments_schedules.app, name="schedule")


@app.command(epilog=tree.examples("airside deployments ls --json"))
def ls(as_json: AsJson = False) -> None:
    """List deployments, with what starts them."""
    with options.connect() as client:
        found = client.get("/api/deployments")["items"]
    if as_json:
        output.as_json(found)
        return
    rows = (
        (
            item["name"],
            item["document"].get("queue", "default"),
            "; ".join(when(one) for one in item["document"].get("schedules", [])),
            "no" if item["enabled"] else "yes",
            item["revision"],
            item["document"].get("project"),
        )
        for item in found
    )
    output.table(("NAME", "QUEUE", "SCHEDULES", "PAUSED", "REVISION", "PROJECT"), rows, empty="no deployments")


@app.command(epilog=tree.examples("airside deployments show nightly/prod"))
def show(name: Name, as_json: AsJson = False) -> None:
    """Show a deployment as it was applied, and the next runs of its schedules."""
    import yaml

    with options.connect() as client:
        found = client.get(path_of(name))
    if as_json:
        output.as_json(found)
        return
    output.fields([("name", found["name"]), ("revision", found["revision"]), ("paused", not found["enabled"])])
    output.fields(
        ("next", f"{deployments_schedules.at(run)}, {run['schedule']}") for run in found.get("next", [])[:_NEXT]
    )
    output.line()
    for line in yaml.safe_dump(found["document"], sort_keys=False, allow_unicode=True).splitlines():
        output.line(output.plain(line))


@app.command(
    epilog=tree.examples(
        "airside deployments run nightly/prod",
        "airside deployments run nightly/prod -p day=2026-11-22 --wait 10m",
        "airside deployments run nightly/prod --infra memory=8Gi --infra env.STAGE=test",
    )
)
def run(
    name: Name,
    *,
    parameters: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", help="NAME=VALUE, a JSON value or text. Repeat it.")
    ] = None,
    infra: Annotated[
        list[str] | None,
        typer.Option("--infra", metavar="NAME=VALUE", help="A setting for this run alone, as memory=8Gi. Repeat it."),
    ] = None,
    key: Annotated[str, typer.Option("--key", help="Asking again with the same key gives the same run.")] = "",
    wait: Annotated[
        str, typer.Option("--wait", help="So long for its end, as 10m; 1 is the exit code if it is bad.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Start a run now. Its parameters and settings are checked before it is accepted."""
    from airside.sdk.deploying.running import run_deployment
    from airside.sdk.limits import seconds_of

    try:
        seconds = seconds_of(wait) if wait else False
    except ValueError as error:
        raise Failure(f"--wait: {error}") from error
    with options.connect() as client:
        where = path_of(name)
        schema = client.get(where)["document"].get("parameters_schema") if parameters else None
    given = values("--parameter", parameters, schema)
    settings = infrastructure(infra)
    made = run_deployment(name, given, infrastructure=settings, wait=seconds, idempotency_key=key or None)
    if as_json:
        output.as_json({"id": made.id, "state": made.state})
    else:
        output.line(made.id if made.state is None else f"{made.id} is {made.state}")
    if wait and made.state != "completed":
        raise Failure(f"the run is {made.state or 'not begun'}{_why(made.id)}", code=FAILED, hint=_further(made.id))


def _why(run: str) -> str:
    """Give what its last change says; nothing where nobody can be asked any more."""
    from airside.sdk.client import path
    from airside.sdk.exceptions import ClientError

    try:
        with options.connect() as client:
            payload = (client.get(path("runs", run, "state")).get("event") or {}).get("payload") or {}
    except ClientError:
        return ""
    return f": {payload['message']}" if payload.get("message") else ""


def _further(run: str) -> str:
    return f"`airside runs logs {run}` shows what it logged"


@app.command(epilog=tree.examples("airside deployments pause nightly/prod"))
def pause(name: Name, *, as_json: AsJson = False) -> None:
    """Let its schedules start nothing more. Runs by hand still start."""
    _switch(name, "pause", "paused", as_json=as_json)


@app.command(epilog=tree.examples("airside deployments resume nightly/prod"))
def resume(name: Name, *, as_json: AsJson = False) -> None:
    """Let its schedules start runs again from now on."""
    _switch(name, "resume", "resumed", as_json=as_json)


@app.command(epilog=tree.examples("airside deployments rm nightly/prod"))
def rm(name: Name, *, as_json: AsJson = False) -> None:
    """Remove a deployment. Its runs stay on the log."""
    with options.connect() as client:
        client.request("DELETE", path_of(name))
    output.done(f"removed {name}", {"name": name, "removed": True}, json=as_json)


def _switch(name: str, word: str, done: str, *, as_json: bool) -> None:
    with options.connect() as client:
        client.request("POST", f"{path_of(name)}/{word}")
    output.done(f"{name} is {done}", {"name": name, "paused": word == "pause"}, json=as_json)
