"""Options that several commands share, and how their texts are read."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from airside.sdk.cli.failures import Failure

if TYPE_CHECKING:
    from airside.sdk.client import Client

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Utc = Annotated[bool, typer.Option("--utc", help="Show times in UTC instead of this machine's zone.")]
Types = Annotated[
    list[str] | None,
    typer.Option("--type", help="Only this type; `*` stands for one word, `>` for the rest. May be repeated."),
]
ResourceGlob = Annotated[str | None, typer.Option("--resource", help="Only resources whose id matches this glob.")]
Kind = Annotated[str | None, typer.Option("--kind", help="Only resources of this kind.")]
Labels = Annotated[list[str] | None, typer.Option("--label", help="Only with this label, as k=v. May be repeated.")]
Source = Annotated[str | None, typer.Option("--source", help="Only from this source.")]
Since = Annotated[
    str | None, typer.Option("--since", help="Only what was received since: a time with a zone, or an age like 2h.")
]
Until = Annotated[
    str | None, typer.Option("--until", help="Only what was received before: a time with a zone, or an age like 2h.")
]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")]

_AGE = re.compile(r"(\d{1,6})(s|m|h|d|w)")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@contextmanager
def connect() -> "Iterator[Client]":
    """Give a client for the server that the settings name."""
    from airside.sdk.client import Client

    with Client() as client:
        yield client


def moment(option: str, text: str | None) -> str | None:
    """Read a time, or an age before now, as the API wants it."""
    if text is None:
        return None
    if age := _AGE.fullmatch(text):
        return (datetime.now(UTC) - timedelta(**{_UNITS[age[2]]: int(age[1])})).isoformat()
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise Failure(
            f"{option}: `{text}` is no time with a zone and no age",
            hint=f"like {option} 2026-11-22T09:00:00+01:00, or {option} 2h",
        )
    return time.isoformat()


def pairs(option: str, texts: list[str] | None, form: str) -> list[tuple[str, str]]:
    """Read `name=value` texts."""
    found = []
    for text in texts or []:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise Failure(f"{option}: `{text}` must be {form}")
        found.append((name, value))
    return found


def json_object(option: str, text: str | None) -> dict[str, Any]:
    """Read a JSON object."""
    if text is None:
        return {}
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Failure(f"{option}: not valid JSON: {error}", hint=f"like {option} '{{\"rows\": 42}}'") from error
    if not isinstance(value, dict):
        raise Failure(f"{option}: must be a JSON object", hint=f"like {option} '{{\"rows\": 42}}'")
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")
