"""`airside automations why-not`: why did it not fire?"""

from collections.abc import Iterator
from typing import Annotated, Any, Final

import typer

from airside.sdk.cli import options, output, tree
from airside.sdk.cli.options import AsJson, Utc

_GROUPS: Final = {
    "counted": "events that counted",
    "missed": "events of a right type that did not pass a filter",
    "keyless": "events without a part of the key",
    "ignored": "events that came while it did not run",
    "duplicates": "events that came again",
}


def why_not(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    *,
    key: Annotated[
        list[str] | None,
        typer.Option(
            "--key", help="`resource.id=job://a`, once for each part of `for_each`; or the bare value of a single part."
        ),
    ] = None,
    at: Annotated[str | None, typer.Option("--at", help="As of then: a time with a zone, or like 2h ago.")] = None,
    utc: Utc = False,
    as_json: AsJson = False,
) -> None:
    """Say why an automation did not fire for a key: what it saw, what it lacks, and which clause did not hold."""
    from airside.sdk.client import path

    with options.connect() as client:
        found = client.get(path("automations", name, "why-not"), {"key": key or [], "at": at})
    if as_json:
        output.as_json(found)
        return
    for line in _account(found, utc=utc):
        output.line(line)


why_not.epilog = tree.examples(  # type: ignore[attr-defined]
    "airside automations why-not three-failures --key flow://finance/load",
    "airside automations why-not runs-finish --key resource.id=job://a --at 2026-11-22T09:30:00Z",
)


def _account(found: dict[str, Any], *, utc: bool) -> Iterator[str]:
    """Give the answer line by line."""
    moment = output.moment(found["at"], utc=utc)
    yield f"{output.plain(found['automation'])} at {moment}, position {found['position']:,}"
    yield ""
    for reason in found["reasons"]:
        yield f"  - {output.with_moments(output.plain(reason), utc=utc)}"
    for group, title in _GROUPS.items():
        seen = found[group]
        if not seen["total"]:
            continue
        last = "" if seen["total"] == len(seen["events"]) else f", the last {len(seen['events'])}"
        yield ""
        yield f"{title}: {seen['total']:,}{last}"
        yield from (f"  {_event(event, utc=utc)}" for event in seen["events"])
    if not found["complete"]:
        yield ""
        yield f"only positions {found['read']['first']:,} to {found['read']['last']:,} were folded: the log is longer"


def _event(event: dict[str, Any], *, utc: bool) -> str:
    why = event.get("miss", {}).get("message") or event.get("why") or ""
    if missing := event.get("missing"):
        why = f"has no {' and no '.join(missing)}"
    parts = (
        event["position"],
        output.moment(event["received"], utc=utc),
        event["type"],
        event["id"],
        event["filter"],
        why,
    )
    return "  ".join(output.plain(part) for part in parts if part)
