"""`airside automations`: rules on the server, and what they decided."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from airside.sdk.cli import options, output, tree
from airside.sdk.cli.failures import FAILED, Failure, place_and_message
from airside.sdk.cli.options import AsJson, Utc

app = tree.new_group(("automations",), "Apply rules, look at them, and see what they decided and why.")

Name = Annotated[str, typer.Argument(metavar="NAME")]


@app.command(
    epilog=tree.examples(
        "airside automations apply automations.yaml",
        "airside automations apply rules/*.yaml --dry-run",
        "generate-rules | airside automations apply -",
    )
)
def apply(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="YAML files; `-` reads stdin.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check them and say what would change.")] = False,
    as_json: AsJson = False,
) -> None:
    """Create new automations and write a new revision of changed ones. Unchanged ones stay; none is deleted."""
    texts = [(name, _read(name)) for name in files]
    changes: list[dict[str, Any]] = []
    lacking: list[dict[str, Any]] = []
    problems: list[str] = []
    from airside.sdk.exceptions import Refused

    with options.connect() as client:
        for name, text in texts:
            try:
                answer = client.request(
                    "POST",
                    "/api/automations",
                    parameters={"dry_run": "true"} if dry_run else None,
                    content=text,
                    headers={"Content-Type": "application/yaml"},
                )
                changes += answer["items"]
                lacking += answer.get("warnings", [])
            except Refused as error:
                if not error.problems:
                    raise
                problems += [place_and_message(problem, name) for problem in error.problems]
    if as_json:
        output.as_json(changes)
    elif changes:
        rows = ((item["name"], item["revision"], item["change"]) for item in changes)
        output.table(("NAME", "REVISION", "WOULD BE" if dry_run else "CHANGE"), rows)
    for warning in lacking:
        output.note(
            f"warning: {warning['automation']}: {warning['path']} would fail on this server: {warning['message']}"
        )
    if problems:
        raise Failure(
            f"{output.count(len(problems), 'problem')}; those files are not applied", code=FAILED, details=problems
        )


@app.command(epilog=tree.examples("airside automations ls --json"))
def ls(utc: Utc = False, as_json: AsJson = False) -> None:
    """List automations."""
    with options.connect() as client:
        found = client.get("/api/automations")["items"]
    if as_json:
        output.as_json(found)
        return
    rows = (
        (
            item["name"],
            item["revision"],
            item["enabled"],
            item["severity"],
            item["firings"],
            output.moment(item["last_triggered"], utc=utc),
        )
        for item in found
    )
    output.table(("NAME", "REVISION", "ENABLED", "SEVERITY", "FIRINGS", "LAST FIRED"), rows, empty="no automations")


@app.command(epilog=tree.examples("airside automations show sales-by-nine"))
def show(name: Name, utc: Utc = False, as_json: AsJson = False) -> None:
    """Show an automation as it stands."""
    from airside.sdk.client import path

    with options.connect() as client:
        item = client.get(path("automations", name))
    if as_json:
        output.as_json(item)
        return
    output.fields(
        [
            ("name", item["name"]),
            ("description", item["description"]),
            ("revision", item["revision"]),
            ("enabled", item["enabled"]),
            ("severity", item["severity"]),
            ("created", output.moment(item["created"], utc=utc)),
            ("updated", output.moment(item["updated"], utc=utc)),
            ("firings", item["firings"]),
            ("last fired", output.moment(item["last_triggered"], utc=utc) or "never"),
        ]
    )
    import yaml

    output.line("\ndocument")
    output.line(yaml.safe_dump(item["document"], sort_keys=False, allow_unicode=True).rstrip())


@app.command(epilog=tree.examples("airside automations enable sales-by-nine"))
def enable(name: Name, *, as_json: AsJson = False) -> None:
    """Let an automation fire again, on what happens from now on."""
    _change("POST", name, "enable")
    output.done(f"enabled {name}", {"name": name, "enabled": True}, json=as_json)


@app.command(epilog=tree.examples("airside automations disable sales-by-nine"))
def disable(name: Name, *, as_json: AsJson = False) -> None:
    """Stop an automation from firing. It keeps its revision."""
    _change("POST", name, "disable")
    output.done(f"disabled {name}", {"name": name, "enabled": False}, json=as_json)


@app.command(epilog=tree.examples("airside automations rm sales-by-nine"))
def rm(name: Name, *, as_json: AsJson = False) -> None:
    """Delete an automation. Its firings stay."""
    _change("DELETE", name)
    output.done(f"deleted {name}", {"name": name, "deleted": True}, json=as_json)


@app.command(epilog=tree.examples("airside automations firings sales-by-nine", "airside automations firings --json"))
def firings(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Default: those of all.")] = None,
    *,
    outcome: Annotated[Literal["triggered", "resolved"] | None, typer.Option("--outcome", help="Only these.")] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, help="At most so many. Default: 50, with --json all.")
    ] = None,
    everything: options.All = False,
    utc: Utc = False,
    as_json: AsJson = False,
) -> None:
    """List what automations decided, the newest first."""
    from airside.sdk.client import path

    target = path("automations", name, "firings") if name else "/api/firings"
    whole = everything or (as_json and limit is None)
    found = options.listed(target, {"outcome": outcome}, limit=limit or 50, everything=whole)
    if as_json:
        output.as_json(found)
        return
    rows = (
        (
            output.moment(item["time"], utc=utc),
            item["automation"],
            item["outcome"],
            item["key"] or "",
            item["reason"],
            item["id"],
        )
        for item in found
    )
    output.table(("TIME", "AUTOMATION", "OUTCOME", "KEY", "WHY", "ID"), rows, empty="nothing has fired")


@app.command(epilog=tree.examples("airside automations explain 0d8f1c6c0a5be2f9"))
def explain(
    firing: Annotated[str, typer.Argument(metavar="FIRING", help="A firing's id, as `firings` shows it.")],
    as_json: AsJson = False,
) -> None:
    """Say what fired, when, why, on which events, and what was done about it."""
    from airside.sdk.client import path

    with options.connect() as client:
        found = client.get(path("firings", firing))
    if as_json:
        output.as_json(found)
        return
    from airside.sdk.cli import explaining

    for line in explaining.account(found):
        output.line(line)


def _read(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise Failure(f"cannot read {name}: {error.strerror}") from error


def _change(method: str, name: str, *action: str) -> None:
    from airside.sdk.client import path

    with options.connect() as client:
        client.request(method, path("automations", name, *action))
