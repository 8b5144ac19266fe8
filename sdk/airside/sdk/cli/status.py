"""`airside status`: where the plane stands."""

from typing import Any

import typer

from airside.sdk.cli import options, output, tree
from airside.sdk.cli.failures import FAILED
from airside.sdk.cli.options import AsJson, Utc


def status(utc: Utc = False, as_json: AsJson = False) -> None:
    """Show where the plane stands: its log, its views, its rules. Exit code 1 when it is not ready."""
    with options.connect() as client:
        at = client.get("/api/status")
        url = client.url
    if as_json:
        output.as_json(at)
    else:
        output.fields(_shown(at, url, utc=utc))
    if at["damage"]:
        output.note(f"the log is damaged: {at['damage']}")
    elif not at["ready"]:
        output.note(f"not ready: {'; '.join(at['not_ready'])}")
    for warning in at.get("warnings", ()):
        output.note(f"{warning['says']}: {warning['todo']}")
    if at["damage"] or not at["ready"]:
        raise typer.Exit(FAILED)


status.epilog = tree.examples("airside status", "airside status --json | jq .engine.lag")  # type: ignore[attr-defined]


def _shown(at: dict[str, Any], url: str, *, utc: bool) -> list[tuple[str, object]]:
    log, views, engine = at["log"], at["views"], at["engine"]
    state = "damaged" if at["damage"] else "ready" if at["ready"] else "not ready"
    return [
        ("airside", f"{at['version']} at {url}, {state}"),
        *((name, address) for name, address in at["addresses"].items()),
        ("tokens", "wanted" if at["auth_required"] else "not wanted: loopback only"),
        ("log", f"{log['last']:,} entries, {log['bytes'] / 1e6:,.1f} MB"),
        ("views", _behind(views)),
        ("rules", _behind(engine)),
        ("log's clock", output.moment(engine["now"], utc=utc)),
        ("next deadline", output.moment(engine["next_deadline"], utc=utc) or "none"),
        *((name, f"{number:,}") for name, number in at["counts"].items()),
        ("open streams", at["streams"]),
    ]


def _behind(reader: dict[str, Any]) -> str:
    lag = f"{reader['lag']:,} behind" if reader["lag"] else "up to date"
    return f"at {reader['position']:,}, {lag}"
