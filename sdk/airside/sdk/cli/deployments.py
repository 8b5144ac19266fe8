"""`airside deployments`: flows that the server can have started."""

from pathlib import Path
from typing import Annotated, Any

import typer

from airside.sdk.cli import options, output, tree
from airside.sdk.cli.failures import FAILED, Failure, place_and_message
from airside.sdk.cli.options import AsJson

app = tree.new_group(("deployments",), "Say which flows the server may have started, where, and when.")

Name = Annotated[str, typer.Argument(metavar="FLOW/NAME", help="As `airside deployments ls` shows it.")]


@app.command(
    epilog=tree.examples(
        "airside deployments build flows/nightly.py:nightly -n prod --cron '0 6 * * *' --timezone Europe/Amsterdam",
        "airside deployments build load.py:load -n hourly --every 1h -q warehouse -o hourly.yaml",
        "airside deployments build load.py:load -n prod --git https://git.example/team/etl.git --ref main",
    )
)
def build(
    entrypoint: Annotated[str, typer.Argument(metavar="FILE.py:FLOW", help="Where the flow is.")],
    name: Annotated[str, typer.Option("--name", "-n", help="Its full name becomes FLOW/NAME.")],
    *,
    queue: Annotated[str, typer.Option("--queue", "-q", help="Where its runs wait for an agent.")] = "default",
    cron: Annotated[str | None, typer.Option("--cron", help="Five fields, in the time zone.")] = None,
    every: Annotated[str | None, typer.Option("--every", help="An interval, as 10m.")] = None,
    timezone: Annotated[str | None, typer.Option("--timezone", help="As Europe/Amsterdam. Default: UTC.")] = None,
    parameters: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", help="NAME=VALUE, a JSON value or text. Repeat it.")
    ] = None,
    git: Annotated[str, typer.Option("--git", metavar="URL", help="The agent fetches the code from there.")] = "",
    ref: Annotated[str, typer.Option("--ref", help="Of the git repository: a branch, tag or commit.")] = "",
    credentials: Annotated[
        str, typer.Option("--credentials", metavar="env:NAME", help="For git: a variable on the agent's side.")
    ] = "",
    file: Annotated[str, typer.Option("--output", "-o", help="The file to write; `-` is stdout.")] = "deployment.yaml",
) -> None:
    """Write the file of a deployment, to be read, changed and applied. Asks no server.

    Without --git the code is run where it is now: the agent must find this folder.
    """
    from airside.sdk.deploying import document
    from airside.sdk.flows import starting

    storage: dict[str, str] = {"kind": "path", "path": str(Path.cwd())}
    if git:
        storage = {"kind": "git", "url": git, "ref": ref, "credentials": credentials}
        storage = {key: value for key, value in storage.items() if value}
    elif ref or credentials:
        raise Failure("--ref and --credentials go with --git")
    made = _checked(
        lambda: document.build(
            starting.load(entrypoint),
            name,
            entrypoint=entrypoint,
            storage=storage,
            queue=queue,
            cron=cron,
            every=every,
            timezone=timezone,
            parameters=_values(parameters),
        )
    )
    text = document.to_yaml(made)
    if file == "-":
        output.line(text.rstrip("\n"))
        return
    Path(file).write_text(text, encoding="utf-8")
    output.line(f"{made.full_name} is in {file}; `airside deployments apply {file}` sends it")


@app.command(
    epilog=tree.examples("airside deployments apply deployment.yaml", "airside deployments apply airside.yaml")
)
def apply(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Each holds one deployment or many.")],
    as_json: AsJson = False,
) -> None:
    """Create the deployments of files, and change those that differ. None is deleted."""
    from airside.sdk.deploying import document

    changes: list[dict[str, Any]] = []
    documents = [made for file in files for made in _checked(lambda file=file: document.read(file), str(file))]
    with options.connect() as client:
        changes += client.request("POST", "/api/deployments", body=[one.to_document() for one in documents])["items"]
    if as_json:
        output.as_json(changes)
        return
    rows = ((item["name"], item["revision"], item["change"]) for item in changes)
    output.table(("NAME", "REVISION", "CHANGE"), rows)


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
            "; ".join(_when(one) for one in item["document"].get("schedules", [])),
            "no" if item["enabled"] else "yes",
            item["revision"],
        )
        for item in found
    )
    output.table(("NAME", "QUEUE", "SCHEDULES", "PAUSED", "REVISION"), rows, empty="no deployments")


@app.command(epilog=tree.examples("airside deployments show nightly/prod"))
def show(name: Name, as_json: AsJson = False) -> None:
    """Show a deployment as it was applied."""
    import yaml

    with options.connect() as client:
        found = client.get(_path(name))
    if as_json:
        output.as_json(found)
        return
    output.fields([("name", found["name"]), ("revision", found["revision"]), ("paused", not found["enabled"])])
    output.line()
    for line in yaml.safe_dump(found["document"], sort_keys=False, allow_unicode=True).splitlines():
        output.line(output.plain(line))


@app.command(
    epilog=tree.examples(
        "airside deployments run nightly/prod",
        "airside deployments run nightly/prod -p day=2026-11-22 --wait 10m",
    )
)
def run(
    name: Name,
    *,
    parameters: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", help="NAME=VALUE, a JSON value or text. Repeat it.")
    ] = None,
    key: Annotated[str, typer.Option("--key", help="Asking again with the same key gives the same run.")] = "",
    wait: Annotated[
        str, typer.Option("--wait", help="So long for its end, as 10m; 1 is the exit code if it is bad.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Start a run now. Its parameters are checked before it is accepted."""
    from airside.sdk.deploying.running import run_deployment
    from airside.sdk.limits import seconds_of

    try:
        seconds = seconds_of(wait) if wait else False
    except ValueError as error:
        raise Failure(f"--wait: {error}") from error
    _path(name)
    made = run_deployment(name, _values(parameters), wait=seconds, idempotency_key=key or None)
    if as_json:
        output.as_json({"id": made.id, "state": made.state})
    else:
        output.line(made.id if made.state is None else f"{made.id} is {made.state}")
    if wait and made.state != "completed":
        raise Failure(f"the run is {made.state or 'not begun'}", code=FAILED)


@app.command(epilog=tree.examples("airside deployments pause nightly/prod"))
def pause(name: Name) -> None:
    """Let its schedules start nothing more. Runs by hand still start."""
    _switch(name, "pause", "paused")


@app.command(epilog=tree.examples("airside deployments resume nightly/prod"))
def resume(name: Name) -> None:
    """Let its schedules start runs again from now on."""
    _switch(name, "resume", "resumed")


@app.command(epilog=tree.examples("airside deployments rm nightly/prod"))
def rm(name: Name) -> None:
    """Remove a deployment. Its runs stay on the log."""
    with options.connect() as client:
        client.request("DELETE", _path(name))
    output.line(f"removed {name}")


def _switch(name: str, word: str, done: str) -> None:
    with options.connect() as client:
        client.request("POST", f"{_path(name)}/{word}")
    output.line(f"{name} is {done}")


def _path(name: str) -> str:
    from airside.sdk.client import path

    flow, separator, own = name.partition("/")
    if not separator or not flow or not own or "/" in own:
        raise Failure(f"`{name}` must be FLOW/NAME", hint="`airside deployments ls` lists them")
    return path("deployments", flow, own)


def _values(texts: list[str] | None) -> dict[str, Any]:
    import json

    found: dict[str, Any] = {}
    for name, text in options.pairs("--parameter", texts, "NAME=VALUE"):
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return found


def _checked(make: Any, file: str = "") -> Any:
    """Make a document; what is wrong in it is told field by field."""
    from airside.events.deployments import InvalidDeployment
    from airside.sdk.flows.exceptions import BadOption

    try:
        return make()
    except InvalidDeployment as error:
        details = [place_and_message({"field": one.field, "message": one.message}, file) for one in error.problems]
        raise Failure("the deployment is refused; nothing is sent", code=FAILED, details=details) from error
    except BadOption as error:
        raise Failure(str(error)) from error


def _when(schedule: dict[str, Any]) -> str:
    word = next((f"{key} {schedule[key]}" for key in ("cron", "every", "at") if schedule.get(key)), "")
    zone = f" {schedule['timezone']}" if schedule.get("timezone") else ""
    return f"{word}{zone}" + ("" if schedule.get("enabled", True) else " (off)")
