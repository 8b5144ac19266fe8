"""`airside hooks test` and `airside hooks presets`: what needs to know how templates work."""

import sys
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airside.sdk.cli import options, output, tree
from airside.sdk.cli.failures import FAILED, Failure
from airside.sdk.cli.options import AsJson, Utc

if TYPE_CHECKING:
    from airside.coordinator.hooks.template import HookTemplate


def presets(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="Print this preset, to begin your own with.")] = "",
    as_json: AsJson = False,
) -> None:
    """List the presets, or print one. Needs no server."""
    from airside.coordinator.hooks import presets as known

    if name:
        if name not in known.names():
            raise Failure(f"there is no preset `{name}`", hint=f"there is {', '.join(known.names())}", code=FAILED)
        sys.stdout.write(known.text(name))
        return
    rows = [(each, known.load(each).signature, known.load(each).about) for each in known.names()]
    if as_json:
        output.as_json([{"name": row[0], "signature": row[1], "about": row[2]} for row in rows])
        return
    output.table(("NAME", "SIGNATURE", "ABOUT"), rows)


presets.epilog = tree.examples(  # type: ignore[attr-defined]
    "airside hooks presets", "airside hooks presets github > mine.yaml"
)


def try_body(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="A hook on the server.")] = "",
    *,
    preset: Annotated[str, typer.Option("--preset", help="A preset instead. Then no server is asked.")] = "",
    template: Annotated[
        str, typer.Option("--template", metavar="FILE", help="A template instead. Then no server is asked.")
    ] = "",
    body: Annotated[str, typer.Option("--body", metavar="FILE", help="The saved body; `-` reads stdin.")],
    header: Annotated[
        list[str] | None, typer.Option("--header", help="Header as NAME=VALUE. Repeat it for several.")
    ] = None,
    query: Annotated[
        list[str] | None, typer.Option("--query", help="Parameter as NAME=VALUE. Repeat it for several.")
    ] = None,
    utc: Utc = False,
    as_json: AsJson = False,
) -> None:
    """Show the events that a saved body would become. Nothing is put on the log, and no signature is wanted."""
    if sum(map(bool, (name, preset, template))) != 1:
        raise Failure("give one of NAME, --preset and --template")
    content = _read(body)
    headers = {key.lower(): value for key, value in options.pairs("--header", header, "NAME=VALUE")}
    parameters = dict(options.pairs("--query", query, "NAME=VALUE"))
    if name:
        events = _on_server(name, content, headers, parameters)
    else:
        events = _here(_template(preset, template), content, headers, parameters)
    if as_json:
        output.as_json(events)
        return
    rows = [
        (output.moment(event["time"], utc=utc), event["type"], event["resource"]["id"], event["id"], event["payload"])
        for event in events
    ]
    output.table(("TIME", "TYPE", "RESOURCE", "ID", "PAYLOAD"), rows, empty="no event: the template ignores this one")


try_body.epilog = tree.examples(  # type: ignore[attr-defined]
    "airside hooks test --preset github --body push.json --header X-GitHub-Event=push",
    "airside hooks test --template nightly.yaml --body nightly.json --json",
    "airside hooks test shop-repo --body push.json --header X-GitHub-Event=push",
)


def _read(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise Failure(f"cannot read {file}: {error.strerror}") from error


def _template(preset: str, file: str) -> "HookTemplate":
    from airside.coordinator.hooks import presets as known
    from airside.coordinator.hooks import template

    if preset:
        try:
            return known.load(preset)
        except KeyError:
            raise Failure(f"there is no preset `{preset}`", hint=f"there is {', '.join(known.names())}") from None
    try:
        return template.parse(_read(file).decode())
    except UnicodeDecodeError as error:
        raise Failure(f"cannot read {file}: not UTF-8 text") from error
    except template.InvalidTemplate as error:
        details = [output.plain(f"{file}:{p.line}:{p.column}: {p.message}") for p in error.problems]
        raise Failure(f"{file}: {output.count(len(details), 'mistake')}", code=FAILED, details=details) from error


def _here(
    template: "HookTemplate", body: bytes, headers: dict[str, str], query: dict[str, str]
) -> list[dict[str, Any]]:
    from airside.coordinator.hooks import mapping
    from airside.coordinator.hooks.reading import Unmapped
    from airside.coordinator.hooks.signatures import Delivery
    from airside.events.limits import Limits
    from airside.events.wire import Record, to_dict

    delivery = Delivery(headers, query, body, datetime.now(UTC))
    try:
        found = mapping.run(template, delivery, delivery.sha256, mapping.Hook(name="test"), Limits())
    except Unmapped as error:
        details = [output.plain(str(problem)) for problem in error.problems]
        raise Failure("the body fits the template nowhere", code=FAILED, details=details) from error
    shown = [to_dict(Record(0, 0, "", event)) for event in found]
    return [{key: value for key, value in item.items() if key not in ("position", "received")} for item in shown]


def _on_server(name: str, body: bytes, headers: dict[str, str], query: dict[str, str]) -> list[dict[str, Any]]:
    from airside.sdk.client import path

    wanted = {"body_base64": b64encode(body).decode(), "headers": headers, "query": query}
    with options.connect() as client:
        found: list[dict[str, Any]] = client.request("POST", path("hooks", name, "test"), body=wanted)["items"]
    return found
