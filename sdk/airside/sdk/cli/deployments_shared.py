"""What the commands about deployments share: names, values, and how a mistake in a document is told."""

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

import typer

from airside.sdk.cli import options
from airside.sdk.cli.failures import FAILED, Failure, place_and_message

Name = Annotated[str, typer.Argument(metavar="FLOW/NAME", help="As `airside deployments ls` shows it.")]
_T = TypeVar("_T")


def path_of(name: str) -> str:
    """Give a deployment's address below the server's. Raises Failure."""
    from airside.sdk.client import path

    flow, separator, own = name.partition("/")
    if not separator or not flow or not own or "/" in own:
        raise Failure(f"`{name}` must be FLOW/NAME", hint="`airside deployments ls` lists them")
    return path("deployments", flow, own)


def values(option: str, texts: list[str] | None, schema: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Read NAME=VALUE texts: a value is text where the schema wants text, else JSON where it can be read as such."""
    asked = (schema or {}).get("properties", {})
    found: dict[str, Any] = {}
    for name, text in options.pairs(option, texts, "NAME=VALUE"):
        wanted = asked.get(name) if isinstance(asked, dict) else None
        try:
            found[name] = text if isinstance(wanted, dict) and wanted.get("type") == "string" else json.loads(text)
        except ValueError:
            found[name] = text
    return found


def infrastructure(texts: list[str] | None) -> dict[str, Any]:
    """Read what --infra says: a kind, NAME=VALUE with dots into an object, or a JSON object. Raises Failure."""
    found: dict[str, Any] = {}
    for text in texts or ():
        if text.lstrip().startswith("{"):
            found |= options.json_object("--infra", text)
        elif "=" not in text:
            found["kind"] = text
        else:
            ((name, value),) = options.pairs("--infra", [text], "KIND, NAME=VALUE or a JSON object")
            _put(found, name, value)
    return found


def _put(found: dict[str, Any], name: str, text: str) -> None:
    outer, _, inner = name.partition(".")
    if outer in ("env", "labels") and inner:  # texts, whatever they look like, under names that may have dots
        found.setdefault(outer, {})[inner] = text
        return
    *path, last = name.split(".")
    for part in path:
        found = found.setdefault(part, {})
        if not isinstance(found, dict):
            raise Failure(f"--infra: `{name}` is given twice, once as a value")
    try:
        found[last] = json.loads(text)
    except ValueError:
        found[last] = text


def checked(make: Callable[[], _T], file: str = "") -> _T:
    """Make a document; what is wrong in it is told field by field. Raises Failure."""
    from airside.events.deployments import InvalidDeployment
    from airside.sdk.flows.exceptions import BadOption

    try:
        return make()
    except InvalidDeployment as error:
        details = [place_and_message({"field": one.field, "message": one.message}, file) for one in error.problems]
        raise Failure("the deployment is refused; nothing is sent", code=FAILED, details=details) from error
    except BadOption as error:
        raise Failure(str(error)) from error


def when(schedule: dict[str, Any]) -> str:
    """Say in a few words when a schedule starts runs."""
    word = next((f"{key} {schedule[key]}" for key in ("cron", "every", "rrule", "at") if schedule.get(key)), "")
    zone = f" {schedule['timezone']}" if schedule.get("timezone") else ""
    return f"{word}{zone}" + ("" if schedule.get("enabled", True) else " (off)")
