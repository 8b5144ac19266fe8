"""Options that several commands share, and how their texts are read."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airside.sdk.cli import output
from airside.sdk.cli.failures import Failure

if TYPE_CHECKING:
    from airside.sdk.client import Client

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Utc = Annotated[bool, typer.Option("--utc", help="Show times in UTC instead of this machine's zone.")]
Types = Annotated[
    list[str] | None,
    typer.Option("--type", help="Event type; `*` stands for one word, `>` for the rest. Repeat it for any of several."),
]
Resource = Annotated[str | None, typer.Option("--resource", help="Id of the resource, with `*` and `?` as wildcards.")]
Kind = Annotated[str | None, typer.Option("--kind", help="Kind of the resource.")]
Labels = Annotated[list[str] | None, typer.Option("--label", help="Label as KEY=VALUE. Repeat it for all of several.")]
Source = Annotated[str | None, typer.Option("--source", help="Source, with `*` and `?` as wildcards.")]
Related = Annotated[str | None, typer.Option("--related", help="Id of a related resource, or ROLE=ID, with wildcards.")]
Since = Annotated[str | None, typer.Option("--since", help="Received then or later: a time with a zone, or like 2h.")]
Until = Annotated[str | None, typer.Option("--until", help="Received before: a time with a zone, or like 2h.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")]
All = Annotated[bool, typer.Option("--all", help="All of them, however many.")]


@contextmanager
def connect() -> "Iterator[Client]":
    """Give a client for the server that the settings name."""
    from airside.sdk.client import Client

    with Client() as client:
        yield client


def listed(
    path: str, parameters: dict[str, Any] | None = None, *, limit: int, everything: bool
) -> list[dict[str, Any]]:
    """Read a list from the server, and say so on stderr when there is more of it than was asked for."""
    with connect() as client:
        found = list(client.items(path, parameters, limit=None if everything else limit + 1))
    if everything or len(found) <= limit:
        return found
    output.note(f"{limit:,} shown, there are more: --limit or --all shows them")
    return found[:limit]


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
