"""`airside tokens`: who may use the API."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from airside.sdk.cli import options, output, tree
from airside.sdk.cli.failures import Failure
from airside.sdk.cli.options import AsJson, Utc

app = tree.new_group(("tokens",), "Say who may use the API, and as what.")


@app.command(
    epilog=tree.examples(
        "airside tokens create airflow --role ingest --expires 365d",
        "AIRSIDE_TOKEN=$(airside tokens create ci --role editor --json | jq -r .token)",
    )
)
def create(
    name: Annotated[str, typer.Argument(help="Whose token it is, for the list.")],
    *,
    role: Annotated[
        str,
        typer.Option("--role", help="admin, editor, operator, viewer, agent (claims runs), or ingest (posts events)."),
    ] = "viewer",
    expires: Annotated[
        str | None, typer.Option("--expires", help="A time with a zone, or a span like 90d. Default: never.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a token. Its text is printed once and kept nowhere."""
    body = {"name": name, "role": role, "expires": _end(expires)}
    with options.connect() as client:
        made = client.request("POST", "/api/tokens", body=body)
    if as_json:
        output.as_json(made)
        return
    output.note(f"token {made['id']} for {made['name']}, role {made['role']}; keep it, nobody can read it again:")
    output.line(made["token"])


@app.command(epilog=tree.examples("airside tokens ls --json"))
def ls(utc: Utc = False, as_json: AsJson = False) -> None:
    """List tokens, without their secrets."""
    with options.connect() as client:
        found = client.get("/api/tokens")["items"]
    if as_json:
        output.as_json(found)
        return
    rows = (
        (
            item["id"],
            item["name"],
            item["role"],
            output.moment(item["created"], utc=utc),
            output.moment(item["expires"], utc=utc) or "never",
        )
        for item in found
    )
    output.table(("ID", "NAME", "ROLE", "CREATED", "EXPIRES"), rows, empty="no tokens")


@app.command(epilog=tree.examples("airside tokens revoke 2f6b0c1d9a8e7f65"))
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As `airside tokens ls` shows it.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Take a token back, at once and for good."""
    from airside.sdk.client import path

    with options.connect() as client:
        client.request("DELETE", path("tokens", token_id))
    output.done(f"revoked {token_id}", {"id": token_id, "revoked": True}, json=as_json)


def _end(text: str | None) -> str | None:
    """Read a time, or a span from now."""
    if text is None:
        return None
    if span := re.fullmatch(r"(\d{1,6})([hdw])", text):
        unit = {"h": "hours", "d": "days", "w": "weeks"}[span[2]]
        return (datetime.now(UTC) + timedelta(**{unit: int(span[1])})).isoformat()
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise Failure(
            f"--expires: `{text}` is no time with a zone and no span", hint="like 2027-01-01T00:00:00Z or 90d"
        )
    return time.isoformat()
