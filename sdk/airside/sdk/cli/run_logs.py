"""`airside runs logs`: what runs have logged, also as it comes."""

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from airside.sdk.cli import options, output, tree
from airside.sdk.cli.failures import Failure
from airside.sdk.cli.options import AsJson, Utc

if TYPE_CHECKING:
    from airside.sdk.client import Client

_PAGE: Final = 1_000
_PAUSE_SECONDS: Final = 2.0
EXAMPLES: Final = tree.examples(
    "airside runs logs 01939f6e-9a52-7c50-9a3c-d2c4b6a3c8aa -f",
    "airside runs logs 01939f6e-9a52-7c50-9a3c-d2c4b6a3c8aa --level warning",
    "airside runs logs --contains 'connection refused' --since 2h",
)


def logs(
    run_id: Annotated[
        str, typer.Argument(metavar="[ID]", help="A flow run, or a task run. Default: search all runs.")
    ] = "",
    *,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until the run has ended.")] = False,
    level: Annotated[str, typer.Option("--level", help="This and worse: debug, info, warning, error.")] = "debug",
    contains: Annotated[str, typer.Option("--contains", help="Text in the message; case does not matter.")] = "",
    since: Annotated[str | None, typer.Option("--since", help="A time with a zone, or like 2h.")] = None,
    utc: Utc = False,
    as_json: AsJson = False,
) -> None:
    """Print log lines, the oldest first. With --json, one object a line."""
    from airside.sdk.client import path

    if follow and not run_id:
        raise Failure("--follow needs the ID of a run")
    where = path("runs", run_id, "logs") if run_id else "/api/logs"
    parameters: dict[str, Any] = {"level": level, "contains": contains or None, "since": since}
    with options.connect() as client:
        found = _followed(client, where, parameters) if follow else _all(client, where, parameters)
        for item in found:
            if as_json:
                output.as_json_line(item)
                continue
            run = f" {output.plain(item['run'])}" if not run_id else ""
            who = (item["task_run"] or "").rpartition("/")[2][-8:]
            name = " ".join(part for part in (output.plain(item["logger"]), who) if part)
            head = f"{output.moment(item['time'], utc=utc)} {item['level']:<8}{run} {name} |"
            for line in item["message"].splitlines() or [""]:
                output.line(f"{head} {output.plain(line)}")


def _all(client: "Client", where: str, parameters: dict[str, Any]) -> Iterator[dict[str, Any]]:
    after: str | None = "0"
    while after is not None:
        page = client.get(where, {**parameters, "after": after, "limit": _PAGE})
        yield from page["items"]
        after = page["next"]


def _followed(client: "Client", where: str, parameters: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give lines as they come; after a lost connection go on behind the last one seen."""
    from airside.sdk.exceptions import CannotReach, ServerFailed

    last, connected = "0", False
    while True:
        try:
            with client.stream(where, {**parameters, "follow": "1"}, {"Last-Event-ID": last}) as lines:
                connected = True
                for line in lines:
                    field, _, value = line.partition(": ")
                    if line == "event: end":
                        return
                    if field == "id":
                        last = value
                    elif field == "data":
                        yield json.loads(value)
        except (CannotReach, ServerFailed) as error:
            if not connected:
                raise
            output.note(f"{error}; trying again")
        time.sleep(_PAUSE_SECONDS)
