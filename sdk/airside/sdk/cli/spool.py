"""`airside spool`: events of this machine that wait for the server."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airside.sdk.cli import options, output, tree
from airside.sdk.cli.failures import CANNOT, Failure
from airside.sdk.cli.options import AsJson, Utc

if TYPE_CHECKING:
    from airside.sdk.emitting.settings import EmitSettings

app = tree.new_group(("spool",), "Look after events of this machine that wait for the server.")


@app.command(epilog=tree.examples("airside spool status", "airside spool status --json | jq '.[].waiting'"))
def status(utc: Utc = False, as_json: AsJson = False) -> None:
    """Show how many events wait on this machine's disk, for which server, and since when."""
    from airside.sdk.emitting import inspecting

    found = inspecting.targets(_settings().spool)
    if as_json:
        output.as_json([{**asdict(target), "folder": str(target.folder)} for target in found])
        return
    rows = (
        (
            target.url,
            target.waiting,
            target.bytes,
            output.moment(target.since, utc=utc),
            target.refused,
            target.corrupt,
            target.folder,
        )
        for target in found
    )
    headers = ("SERVER", "WAITING", "BYTES", "SINCE", "REFUSED", "DAMAGED", "FOLDER")
    output.table(headers, rows, empty="nothing waits")


@app.command(epilog=tree.examples("airside spool flush", "airside spool flush --any-token"))
def flush(
    *,
    any_token: Annotated[
        bool,
        typer.Option("--any-token", help="Also what was spooled for this server with another AIRSIDE_TOKEN."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Send now what waits for the server that AIRSIDE_URL names. Events of living processes are left to these."""
    from airside.sdk.emitting import flushing

    settings = _settings()
    if not settings.url:
        from airside.sdk.emitting import inspecting

        urls = sorted({target.url for target in inspecting.targets(settings.spool) if target.waiting})
        where = f": {', '.join(urls)}" if urls else ""
        raise Failure("which server?", hint=f"set AIRSIDE_URL to the server that the events are for{where}")
    done = flushing.flush(settings, any_token=any_token)
    if as_json:
        output.as_json(asdict(done))
    else:
        output.line(f"{output.count(done.sent, 'event')} sent, {done.refused:,} refused, {done.waiting:,} still wait")
    if done.away:
        raise Failure(f"{settings.address}: {done.away}", hint="try again when the server is there", code=CANNOT)
    if done.in_use and not as_json:
        output.note(f"{output.count(done.in_use, 'file')} belong to living processes, which send them themselves")


@app.command(epilog=tree.examples("airside spool ls", "airside spool ls --refused --json"))
def ls(
    *,
    refused: Annotated[bool, typer.Option("--refused", help="What the server refused, with its reasons.")] = False,
    limit: options.Limit = 50,
    utc: Utc = False,
    as_json: AsJson = False,
) -> None:
    """List events that wait, or that the server refused, oldest first."""
    found = _refused(limit) if refused else _waiting(limit)
    if as_json:
        output.as_json(found)
        return
    if refused:
        rows: list[tuple[Any, ...]] = [
            (output.moment(entry["at"], utc=utc), *_what(entry["event"]), entry["reason"]) for entry in found
        ]
        output.table(("REFUSED", "TYPE", "RESOURCE", "ID", "REASON"), rows, empty="nothing was refused")
        return
    rows = [(output.moment(event.get("time"), utc=utc), *_what(event)) for event in found]
    output.table(("TIME", "TYPE", "RESOURCE", "ID"), rows, empty="nothing waits")


def _settings() -> "EmitSettings":
    from airside.sdk.emitting import settings

    try:
        return settings.load()
    except settings.BadSettings as error:
        raise Failure(str(error)) from error


def _waiting(limit: int) -> list[dict[str, Any]]:
    from itertools import islice

    from airside.sdk.emitting import inspecting

    found = (event for target in inspecting.targets(_settings().spool) for event in inspecting.waiting(target.folder))
    return list(islice(found, limit))


def _refused(limit: int) -> list[dict[str, Any]]:
    from itertools import islice

    from airside.sdk.emitting import inspecting, spool

    folders = [target.folder for target in inspecting.targets(_settings().spool)]
    return list(islice((entry for folder in folders for entry in spool.read_aside(folder / spool.REFUSED)), limit))


def _what(event: Any) -> tuple[object, object, object]:
    if not isinstance(event, dict):
        return ("", "", "")
    resource = event.get("resource")
    return event.get("type"), resource.get("id") if isinstance(resource, dict) else resource, event.get("id")
