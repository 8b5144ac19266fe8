"""Examples for the OpenAPI description: what people send, and what they get."""

from typing import Any, Final

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

RESOURCE: Final[dict[str, Any]] = {
    "id": "table://warehouse/sales",
    "kind": "table",
    "name": "sales",
    "labels": {"team": "finance"},
    "state": "updated",
    "first_seen": "2026-11-02T08:40:12Z",
    "last_seen": "2026-11-22T08:41:07.341882Z",
    "last_position": 1207,
    "last_type": "table.updated",
    "last_event_id": EVENT["id"],
    "last_by_type": {"table.updated": {"id": EVENT["id"], "position": 1207, "time": EVENT["time"]}},
}
RUN: Final[dict[str, Any]] = {
    "id": "run://airflow/prod/nightly/scheduled__2026-11-22",
    "source": "airflow",
    "kind": "run",
    "job": "airflow://prod/dag/nightly",
    "job_name": "nightly",
    "name": "scheduled__2026-11-22",
    "url": None,
    "parent": None,
    "state": "completed",
    "started": "2026-11-22T08:00:01.118201Z",
    "ended": "2026-11-22T08:12:44.002318Z",
    "duration": 762.884117,
    "attempt": 1,
    "labels": {"owner": "sales-data"},
    "first_seen": "2026-11-22T08:00:01.301412Z",
    "last_seen": "2026-11-22T08:12:44.120077Z",
    "scheduled_for": None,
    "first_position": 1100,
    "last_position": 1188,
}
AUTOMATION: Final[dict[str, Any]] = {
    "name": "sales-by-nine",
    "revision": 3,
    "enabled": True,
    "severity": "high",
    "description": None,
    "document": {
        "name": "sales-by-nine",
        "trigger": {"absence": {"type": ["table.updated"]}, "by": {"time": "09:00", "timezone": "America/New_York"}},
        "actions": [{"notify": {"to": "oncall"}}],
    },
    "created": "2026-11-01T10:00:00Z",
    "updated": "2026-11-20T10:00:00Z",
    "last_triggered": "2026-11-22T14:02:00Z",
    "firings": 2,
    "deleted": False,
    "keys_refused": 0,
    "keys_dropped": 0,
    "loops_stopped": 0,
}
CHANGES: Final[dict[str, Any]] = {
    "items": [{"name": "sales-by-nine", "revision": 3, "change": "updated"}],
    "next": None,
    "warnings": [],
}
TOKEN: Final[dict[str, Any]] = {
    "id": "9f2c41d07be3a655",
    "name": "airflow",
    "role": "ingest",
    "created": "2026-11-22T09:00:00Z",
    "expires": "2027-11-22T00:00:00Z",
    "workspace": "default",
}
HOOK: Final[dict[str, Any]] = {
    "name": "shop-repo",
    "path": "/hooks/5d0c6b0a1f1e4c0f9f2c41d07be3a655",
    "preset": "github",
    "signature": "github",
    "header": None,
    "created": "2026-11-22T09:00:00Z",
    "workspace": "default",
    "last_received": "2026-11-22T09:12:40.118000Z",
    "counts": {"accepted": 12, "duplicates": 1, "ignored": 1, "unmapped": 0, "refused": 0},
}
HOOK_TEST: Final[dict[str, Any]] = {
    "items": [{key: value for key, value in EVENT.items() if key not in ("position", "received")}]
}
QUERY: Final[dict[str, Any]] = {
    "columns": [{"name": "type", "type": "VARCHAR"}, {"name": "n", "type": "BIGINT"}],
    "rows": [["table.updated", 412]],
    "truncated": False,
    "position": 1410,
}
REBUILD: Final[dict[str, Any]] = {
    "running": True,
    "position": 400_000,
    "target": 1_000_000,
    "started": "2026-11-22T09:00:00Z",
    "finished": None,
    "error": None,
}
STATUS: Final[dict[str, Any]] = {
    "version": "0.1.0",
    "addresses": {"http": "http://127.0.0.1:7700"},
    "auth_required": False,
    "ready": True,
    "not_ready": [],
    "log": {"first": 1, "last": 1410, "bytes": 812_344, "created": "2026-11-01T09:59:12Z"},
    "views": {"position": 1410, "lag": 0},
    "engine": {"position": 1410, "lag": 0, "now": "2026-11-22T14:02:00Z", "next_deadline": "2026-11-23T14:02:00Z"},
    "counts": {"automations": 4, "events": 1380, "dead_letters": 0, "firings": 30, "failed_actions_24h": 0},
    "streams": 1,
    "damage": None,
    "warnings": [
        {
            "about": "actions",
            "says": "3 actions failed in the last 24 hours: 2 of sales-by-nine, 1 of orders-fresh",
            "todo": "airside automations firings sales-by-nine, then explain",
        }
    ],
}
DEAD_LETTER: Final[dict[str, Any]] = {
    "position": 977,
    "received": "2026-11-22T08:12:00Z",
    "subject": "ev.default.mzxw6ytboi2dgnbv.table.updated",
    "reason": "not an event: invalid character (byte 0)",
    "data": "/wAB",
}

EXPLAINED: Final[dict[str, Any]] = {
    **FIRING,
    "clause": {"trigger": "absence", "by": "2026-11-22T09:00", "timezone": "America/New_York", "grace": "2m"},
    "edges": {
        "timezone": "America/New_York",
        "start": {"time": "2026-11-21T14:00:00Z", "local": "Sat 21 Nov 09:00 America/New_York", "position": 12},
        "end": {"time": "2026-11-22T14:00:00Z", "local": "Sun 22 Nov 09:00 America/New_York", "position": 1398},
    },
    "prevention": "One table.updated for table://warehouse/sales of this key on the log after Sat 21 Nov 09:00 and by"
    " Sun 22 Nov 09:02 America/New_York, that is the deadline and a grace of 2m.",
    "resolution": None,
    "results": [
        {
            "id": "0d8f1c6c0a5be2f9.0",
            "firing": "0d8f1c6c0a5be2f9",
            "automation": "sales-by-nine",
            "kind": "notify",
            "index": 0,
            "state": "succeeded",
            "attempts": 1,
            "result": {"to": "oncall"},
            "error": None,
            "updated": "2026-11-22T14:02:01.2Z",
            "position": 1412,
        }
    ],
}
BACKTEST: Final[dict[str, Any]] = {
    "items": [{**FIRING, "resolved_by": None}],
    "next": None,
    "entries": 120_411,
    "ticks": 4_320,
    "from": "2026-11-21T14:00:00Z",
    "to": "2026-11-22T14:02:00.000001Z",
    "position": 121_621,
    "truncated": False,
}
WHY_NOT: Final[dict[str, Any]] = {
    "summary": "2 of 3 flow_run.failed in the last 10m; 1 more needed before 2026-11-22T09:12:07.000000Z, when the"
    " oldest leaves the window",
    "reasons": ["1 event of a right type did not pass a filter; the last, run-9: $.rows must be gt 0, and is 0"],
    "automation": "three-failures",
    "key": {"resource": {"id": "flow://finance/load"}},
    "at": "2026-11-22T09:05:00.000000Z",
    "position": 1207,
    "revision": 3,
    "enabled": True,
    "state": {"counted": 2, "needed": 3, "missing": 1},
    "complete": True,
}


def page(*items: dict[str, Any]) -> dict[str, Any]:
    """Show items as a list answers them."""
    return {"items": list(items), "next": "WzEyMDdd"}


def _body(content: dict[str, Any], description: str) -> dict[str, Any]:
    return {"requestBody": {"required": True, "description": description, "content": content}}


_EVENT_SCHEMA: Final[dict[str, Any]] = {
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

POST_HOOK: Final = _body(
    {
        "application/json": {"schema": {}, "example": {"type": "job.done", "timestamp": "2026-11-22T09:00:00Z"}},
        "application/x-www-form-urlencoded": {"schema": {}, "example": {"payload": "{}"}},
        "text/plain": {"schema": {"type": "string"}, "example": "anything"},
    },
    "Whatever the sender sends; the hook's template reads it.",
)

ACCEPTED_CHANGE: Final[dict[str, Any]] = {"position": 1214, "state": "running", "seq": 1}
RUN_STATE: Final[dict[str, Any]] = {
    "id": "run://airside/01939f6e-9a52-7c50-9a3c-d2c4b6a3c8aa",
    "state": "running",
    "seq": 1,
    "position": 1214,
    "event": EVENT,
    "cancel": False,
}
_CHANGE: Final = {
    "id": "01939f6e-9a52-7c50-9a3c-d2c4b6a3c8aa.1",
    "type": "task_run.running",
    "time": "2026-11-22T08:41:07.120000Z",
    "resource": {"id": "run://airside/01939f6e-9a52-7c50-9a3c-d2c4b6a3c8aa", "kind": "task_run", "name": "load-0"},
    "payload": {"seq": 1, "attempt": 1},
}
POST_CHANGES: Final = _body(
    {"application/json": {"schema": {"type": "array", "items": _EVENT_SCHEMA}, "example": [_CHANGE]}},
    "Changes, as events `task_run.<state>` and `flow_run.<state>` with their number in `payload.seq`.",
)
_PROPOSAL_SCHEMA: Final = {
    "type": "object",
    "required": ["state", "expected"],
    "properties": {
        "state": {"type": "string", "description": "the state to change to"},
        "expected": {"type": "integer", "description": "number of the last change the proposer saw; 0: a new run"},
        **{name: schema for name, schema in _EVENT_SCHEMA["properties"].items() if name != "type"},
    },
}
POST_PROPOSAL: Final = _body(
    {
        "application/json": {
            "schema": _PROPOSAL_SCHEMA,
            "example": {
                "state": "running",
                "expected": 0,
                "related": [{"id": "flow://nightly", "role": "flow"}],
                "payload": {"attempt": 1},
            },
        }
    },
    "The state, what the proposer saw last, and the fields of the event that the change becomes.",
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
