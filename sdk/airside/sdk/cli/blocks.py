"""`airside blocks`: named configuration and credentials, kept on the server."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from airside.sdk.cli import options, output, tree
from airside.sdk.cli.failures import Failure
from airside.sdk.cli.options import AsJson, Utc

app = tree.new_group(("blocks",), "Keep named configuration and credentials on the server.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="As `airside blocks ls` shows it.")]
_FROM_VARIABLE: Final = "env:"
_FROM_FILE: Final = "@"
_STDIN: Final = "-"


@app.command(epilog=tree.examples("airside blocks ls --json"))
def ls(utc: Utc = False, as_json: AsJson = False) -> None:
    """List blocks. What is secret in them is not shown."""
    with options.connect() as client:
        found = client.get("/api/blocks")["items"]
    if as_json:
        output.as_json(found)
        return
    rows = (
        (item["name"], item["type"], item["revision"], output.moment(item["updated"], utc=utc), item["by"])
        for item in found
    )
    output.table(("NAME", "TYPE", "REVISION", "UPDATED", "BY"), rows, empty="no blocks")


@app.command(epilog=tree.examples("airside blocks show warehouse-git"))
def show(name: Name, utc: Utc = False, as_json: AsJson = False) -> None:
    """Show a block; of what is secret, whether it is set."""
    from airside.sdk.client import path

    with options.connect() as client:
        found = client.get(path("blocks", name))
    if as_json:
        output.as_json(found)
        return
    rows = [("name", found["name"]), ("type", found["type"]), ("description", found["description"])]
    rows += [(field, _shown(value)) for field, value in found["fields"].items()]
    rows += list(found["secrets"].items())
    rows += [
        ("revision", found["revision"]),
        ("updated", output.moment(found["updated"], utc=utc)),
        ("by", found["by"]),
    ]
    output.fields(rows)


@app.command(
    "set",
    epilog=tree.examples(
        "airside blocks set warehouse-git -t git token=env:GIT_TOKEN",
        "airside blocks set lake -t s3 key=AKIAEXAMPLE secret=env:LAKE_SECRET region=eu-west-1",
        "airside blocks set reports -t gcs service_account=@key.json",
        "pass show oncall | airside blocks set oncall -t notify url=-",
        'airside blocks set tables -t json value=\'["orders", "sales"]\'',
    ),
)
def set_(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Lower-case words, digits, `-` and `_`.")],
    fields: Annotated[
        list[str],
        typer.Argument(
            metavar="FIELD=VALUE...",
            help="The value as it stands, env:VARIABLE, @FILE, or `-` for stdin. What is secret is never taken as it"
            " stands: others can read command lines.",
        ),
    ],
    *,
    kind: Annotated[str, typer.Option("--type", "-t", help="`airside blocks types` lists them with their fields.")],
    description: Annotated[str, typer.Option("--description", "-d", help="For people.")] = "",
    as_json: AsJson = False,
) -> None:
    """Make a block, or put another in its place: fields that are not given are gone."""
    from airside.sdk.client import path

    body = {"type": kind, "fields": _fields(kind, fields), "description": description}
    with options.connect() as client:
        made = client.request("PUT", path("blocks", name), body=body)
    if as_json:
        output.as_json(made)
        return
    output.line(f"{made['name']}: {made['type']}, revision {made['revision']}")


@app.command(epilog=tree.examples("airside blocks rm warehouse-git"))
def rm(name: Name, *, as_json: AsJson = False) -> None:
    """Remove a block: what names it fails from now on."""
    from airside.sdk.client import path

    with options.connect() as client:
        client.request("DELETE", path("blocks", name))
    output.done(f"removed {name}", {"name": name, "removed": True}, json=as_json)


@app.command(epilog=tree.examples("airside blocks types"))
def types(as_json: AsJson = False) -> None:
    """List the types of blocks with their fields."""
    from airside.events.blocks import described

    found = described()
    if as_json:
        output.as_json(found)
        return
    rows = [
        (kind["type"], field["name"], _traits(field), field["description"] or kind["description"])
        for kind in found
        for field in kind["fields"]
    ]
    output.table(("TYPE", "FIELD", "", "WHAT"), rows)


def _traits(field: dict[str, Any]) -> str:
    return ", ".join(word for word, holds in (("secret", field["secret"]), ("wanted", field["required"])) if holds)


def _shown(value: Any) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _fields(kind: str, given: list[str]) -> dict[str, Any]:
    """Read `field=value`; `headers.X-Key=value` goes into the object `headers`. Raises Failure."""
    from airside.events.blocks import TYPES, secrets_of

    if kind not in TYPES:
        raise Failure(f"--type: `{kind[:80]}` must be one of {', '.join(TYPES)}")
    if sum(text.partition("=")[2] == _STDIN for text in given) > 1:
        raise Failure("only one field can be stdin")
    secret = secrets_of(kind)
    found: dict[str, Any] = {}
    for text in given:
        name, separator, value = text.partition("=")
        outer, _, inner = name.partition(".")
        if not separator or not name:
            raise Failure("fields are given as FIELD=VALUE", hint=f"`{kind}` has {', '.join(TYPES[kind].model_fields)}")
        read = _value(name, value, is_secret=outer in secret)
        if kind == "json" and name == "value":
            read = _json(read)
        if inner:
            found.setdefault(outer, {})[inner] = read
        else:
            found[name] = read
    return found


def _value(name: str, text: str, *, is_secret: bool) -> str:
    """Read a value from where the text says. Raises Failure, without the text when it may be a secret."""
    if text == _STDIN:
        found = sys.stdin.read().rstrip("\r\n")
    elif text.startswith(_FROM_VARIABLE):
        found = os.environ.get(text.removeprefix(_FROM_VARIABLE), "")
    elif text.startswith(_FROM_FILE):
        found = _content(Path(text.removeprefix(_FROM_FILE)))
    elif is_secret:
        raise Failure(
            f"{name} is secret: give {name}=env:VARIABLE, {name}=@FILE or {name}=-, not the secret itself",
            hint="other users can read commands",
        )
    else:
        return text
    if not found:
        raise Failure(f"{name}={text}: there is nothing")
    return found


def _content(file: Path) -> str:
    try:
        return file.expanduser().read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise Failure(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Failure(f"cannot read {file}: not UTF-8 text") from error


def _json(text: str) -> Any:
    import json

    try:
        return json.loads(text)
    except ValueError as error:
        raise Failure(f"value: not valid JSON: {error}", hint="a text stands in quotes: value='\"text\"'") from error
