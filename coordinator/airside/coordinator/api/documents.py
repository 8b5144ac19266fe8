"""The documents the API takes and gives, for the OpenAPI description. Nothing is validated by these on its way out."""

from datetime import datetime
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from airside.coordinator.api.problems import MEDIA_TYPE
from airside.coordinator.tokens import Role
from airside.events.model import Event

T = TypeVar("T")

EVENT: Final[dict[str, Any]] = {
    "id": "airflow:run:sales:2026-11-22:success",
    "type": "table.updated",
    "time": "2026-11-22T08:41:07.120000Z",
    "source": "airflow://prod",
    "resource": {
        "id": "table://warehouse/sales",
        "kind": "table",
        "name": "sales",
        "labels": {"team": "finance"},
    },
    "related": [{"id": "job://airflow/sales", "role": "job", "kind": "job", "name": "sales", "labels": {}}],
    "payload": {"rows": 4812},
    "causes": [],
    "workspace": "default",
    "position": 1207,
    "received": "2026-11-22T08:41:07.341882Z",
}
_SMALL: Final[dict[str, Any]] = {
    "id": "sales-2026-11-22",
    "type": "table.updated",
    "time": "2026-11-22T09:41:07+01:00",
    "resource": {"id": "table://warehouse/sales", "labels": {"team": "finance"}},
    "payload": {"rows": 4812},
}
_CLOUDEVENT: Final[dict[str, Any]] = {
    "specversion": "1.0",
    "id": "evt-11",
    "source": "/lake/orders",
    "type": "com.example.orders.landed",
    "subject": "orders/2026-11-21",
    "time": "2026-11-22T06:00:11Z",
    "data": {"rows": 42},
}
FIRING: Final[dict[str, Any]] = {
    "id": "0d8f1c6c0a5be2f9",
    "automation": "sales-by-nine",
    "revision": 3,
    "key": {},
    "window": {"start": "2026-11-21T14:00:00Z", "end": "2026-11-22T14:00:00Z"},
    "position": 1410,
    "time": "2026-11-22T14:02:00Z",
    "outcome": "triggered",
    "reason": "no table.updated for table://warehouse/sales by 09:00 (America/New_York)",
    "events": [],
    "actions": [],
}


class Shown(BaseModel):
    """A document of the API; further members may be added, none is ever taken away."""

    model_config = ConfigDict(extra="allow")


class Accepted(Shown):
    """What became of posted events. `first` and `last` are the log positions of the new ones."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"accepted": 3, "duplicates": 0, "first": 1207, "last": 1209}]}
    )
    accepted: int
    duplicates: int
    first: int | None
    last: int | None


class Page(Shown, Generic[T]):
    """One page of a list; `next` is the `cursor` of the following page, null on the last."""

    items: list[T]
    next: str | None = None


class EventDocument(Event):
    """An event with its place on the log."""

    model_config = ConfigDict(json_schema_extra={"examples": [EVENT]}, title="Event")


class Count(Shown):
    """How many events there are."""

    count: int


class FieldProblem(Shown):
    """What is wrong with one field."""

    field: str
    message: str


class ProblemDocument(Shown):
    """An error, as RFC 9457 has it. `type` is for programs, `detail` for people."""

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None
    problems: list[FieldProblem] | None = None


class NewToken(BaseModel):
    """A token to be made."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "airflow", "role": "ingest", "expires": "2027-11-22T00:00:00Z"}]},
    )
    name: str = Field(min_length=1, max_length=100)
    role: Role
    expires: datetime | None = Field(None, description="with a zone; null: never")


class QueryRequest(BaseModel):
    """A read-only query over the views."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"sql": "SELECT type, count(*) AS n FROM events WHERE kind = ? GROUP BY 1", "parameters": ["table"]}
            ]
        },
    )
    sql: str = Field(min_length=1, max_length=100_000)
    parameters: list[Any] = Field([], max_length=1_000, description="values for `?` in the SQL, in order")
    limit: int = Field(10_000, ge=1, le=100_000, description="rows given at most")
    timeout: float = Field(10.0, gt=0, le=60.0, description="seconds the query may take")


class QueryAnswer(Shown):
    """Rows of a query over the views as they were at log position `position`."""

    columns: list[dict[str, Any]]
    rows: list[list[Any]]
    truncated: bool
    position: int


_DESCRIPTIONS: Final = {
    400: ("malformed-json", "The body is not what its content type says"),
    401: ("unauthorized", "No token, or one that is unknown, expired or revoked"),
    403: ("forbidden", "The token's role is not enough"),
    404: ("not-found", "There is nothing of this name"),
    409: ("conflict", "Something else is under way"),
    413: ("body-too-large", "The body or one event is too large"),
    415: ("unsupported-media-type", "This content type or encoding is not taken"),
    422: ("invalid-event", "The input is refused; `problems` names each field"),
    503: ("log-unavailable", "Try again after `Retry-After` seconds: ids make a repeat harmless"),
    507: ("log-full", "The log has no room left"),
}


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the problem documents that a route may answer with, beside those that any route may."""
    found: dict[int | str, dict[str, Any]] = {}
    for status in sorted({*statuses, 401, 403}):
        slug, description = _DESCRIPTIONS[status]
        document: dict[str, Any] = {
            "type": f"urn:airside:problem:{slug}",
            "title": slug.replace("-", " ").capitalize(),
            "status": status,
            "detail": f"{description}.",
        }
        if status == 422:
            document["problems"] = [{"field": "resource.id", "message": "Field required"}]
        found[status] = {
            "model": ProblemDocument,
            "description": description,
            "content": {MEDIA_TYPE: {"example": document}},
        }
    return found


def _body(content: dict[str, Any], description: str) -> dict[str, Any]:
    return {"requestBody": {"required": True, "description": description, "content": content}}


_EVENT_SCHEMA: Final = {
    "type": "object",
    "required": ["type", "resource"],
    "properties": {
        "id": {"type": "string", "description": "unique; a repeat counts once. Default: a UUIDv7"},
        "type": {"type": "string", "description": "dotted words, as `table.updated`"},
        "time": {"type": "string", "format": "date-time", "description": "with a zone. Default: now"},
        "source": {"type": "string", "description": "who says so, as `airflow://prod`"},
        "resource": {
            "oneOf": [
                {"type": "string"},
                {
                    "type": "object",
                    "required": ["id"],
                    "properties": {
                        "id": {"type": "string"},
                        "kind": {"type": "string"},
                        "name": {"type": "string"},
                        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                    },
                },
            ]
        },
        "related": {"type": "array", "items": {"type": "object", "required": ["id", "role"]}},
        "payload": {"type": "object"},
        "causes": {"type": "array", "items": {"type": "string"}},
    },
}

POST_EVENTS: Final = _body(
    {
        "application/json": {
            "schema": {"oneOf": [_EVENT_SCHEMA, {"type": "array", "items": _EVENT_SCHEMA}]},
            "examples": {"one": {"value": _SMALL}, "list": {"value": [_SMALL, {**_SMALL, "id": "sales-2"}]}},
        },
        "application/x-ndjson": {
            "schema": {"type": "string", "description": "one event a line"},
            "example": '{"type": "table.updated", "resource": "table://warehouse/sales"}\n'
            '{"type": "table.updated", "resource": "table://warehouse/orders"}\n',
        },
        "application/cloudevents+json": {"schema": {"type": "object"}, "example": _CLOUDEVENT},
        "application/cloudevents-batch+json": {
            "schema": {"type": "array", "items": {"type": "object"}},
            "example": [_CLOUDEVENT],
        },
    },
    "Events; CloudEvents in binary mode (`ce-*` headers) may have any content type.",
)

_RUN_EVENT: Final = {
    "eventType": "COMPLETE",
    "eventTime": "2026-11-22T06:20:00Z",
    "producer": "https://example.com/etl",
    "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
    "run": {"runId": "01939f6e-9a52-7c50-9a3c-d2c4b6a3c8aa"},
    "job": {"namespace": "prod", "name": "sales.daily"},
    "inputs": [],
    "outputs": [{"namespace": "duckdb://warehouse", "name": "main.sales"}],
}
POST_LINEAGE: Final = _body(
    {"application/json": {"schema": {"type": "object"}, "example": _RUN_EVENT}}, "A RunEvent, JobEvent or DatasetEvent."
)
POST_LINEAGE_BATCH: Final = _body(
    {"application/json": {"schema": {"type": "array", "items": {"type": "object"}}, "example": [_RUN_EVENT]}},
    "A list of RunEvents, JobEvents and DatasetEvents.",
)

_AUTOMATIONS: Final = """\
automations:
  - name: three-failures
    trigger:
      match: {type: flow_run.failed, resource: {labels: {team: finance}}}
      count: 3
      within: 10m
      for_each: [related.flow.id]
    actions:
      - notify: {to: oncall, title: "{{ event.resource.name }} keeps failing"}
"""
POST_AUTOMATIONS: Final = _body(
    {
        "application/yaml": {"schema": {"type": "string"}, "example": _AUTOMATIONS},
        "application/json": {
            "schema": {"type": "object", "required": ["automations"]},
            "example": {
                "automations": [
                    {
                        "name": "landed",
                        "trigger": {"match": {"type": "file.landed"}},
                        "actions": [{"emit": {"type": "load.wanted", "resource": "table://warehouse/raw"}}],
                    }
                ]
            },
        },
    },
    "The text of an automations file, or the same as JSON.",
)
