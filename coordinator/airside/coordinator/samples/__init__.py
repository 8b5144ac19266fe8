"""A day of a small data stack, as real tools told it: see README.md beside this file."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from airside.events import dbt, wire

AUTOMATIONS: Final = "automations.yaml"


@dataclass(frozen=True, slots=True)
class Post:
    """One request that a tool made: `when` orders them, `events` is how many events the tool thought it sent."""

    tool: str
    when: str
    path: str
    headers: dict[str, str]
    body: bytes
    events: int = 1


def text(name: str) -> str:
    """Give a sample file's contents."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def requests(name: str) -> list[dict[str, Any]]:
    """Give the captured HTTP requests of a `.ndjson` file."""
    return [json.loads(line) for line in text(name).splitlines()]


def day() -> list[Post]:
    """Give the whole day in the order in which things happened."""
    posts = [
        *_lineage("Airflow", "airflow_openlineage.ndjson"),
        *_lineage("OpenLineage client", "openlineage_client.ndjson"),
        *_cloudevents(),
        *_dbt(),
    ]
    return sorted(posts, key=lambda post: post.when)


def _lineage(tool: str, name: str) -> Iterator[Post]:
    for request in requests(name):
        body = request["body"]
        when = body["eventTime"]
        yield Post(tool, when, "/api/v1/lineage", {"Content-Type": "application/json"}, _bytes(body))


def _cloudevents() -> Iterator[Post]:
    for request in requests("cloudevents.ndjson"):
        body, headers = request["body"], request["headers"]
        first = body[0] if isinstance(body, list) else body
        when = headers.get("Ce-Time") or first["time"]
        count = len(body) if isinstance(body, list) else 1
        data = b"" if body is None else _bytes(body)
        yield Post("CloudEvents SDK", when, "/api/events", headers, data, count)


def _dbt() -> Iterator[Post]:
    """Send dbt's artifacts as a hook after the command would: translated here, posted as our own events."""
    results, manifest = json.loads(text("dbt_run_results.json")), json.loads(text("dbt_manifest.json"))
    sources = json.loads(text("dbt_sources.json"))
    for artifact, events in (
        (results, dbt.parse_run_results(results, manifest)),
        (sources, dbt.parse_sources(sources)),
    ):
        body = b"\n".join(wire.encode(event) for event in events)
        when = artifact["metadata"]["generated_at"]
        yield Post("dbt", when, "/api/events", {"Content-Type": "application/x-ndjson"}, body, len(events))


def _bytes(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()
