"""No list, stream, export or query shows what opens a webhook's door."""

import httpx
import orjson
import pytest
from tests.support.api_plane import MemoryPlane, own_event

pytest_plugins = ["tests.support.api_fixtures"]

RULE = """
automations:
  - name: guarded
    trigger: {match: {type: a.b, resource: "x://y"}}
    actions:
      - webhook: {url: "https://hooks.example.com/services/T0K3N", headers: {Authorization: "Bearer hunter2"}}
"""
YAML = {"Content-Type": "application/yaml"}


@pytest.fixture
async def written(api: httpx.AsyncClient, memory: MemoryPlane) -> None:
    """A rule with secrets, and a firing of it."""
    assert (await api.post("/api/automations", content=RULE, headers=YAML)).status_code == 200
    document = memory.log.entries[0].event.payload_object()["document"]  # type: ignore[union-attr]
    assert "T0K3N" in orjson.dumps(document).decode(), "the engine reads the whole rule on the log"
    firing = {
        "id": "f1",
        "automation": "guarded",
        "revision": 1,
        "outcome": "triggered",
        "key": {},
        "window": {"start": "2026-11-22T08:00:00Z", "end": "2026-11-22T09:00:00Z"},
        "time": "2026-11-22T09:00:00Z",
        "decided": "2026-11-22T09:00:00Z",
        "position": 1,
        "events": [],
        "event_count": 0,
        "reason": "r",
        "clause": {},
        "severity": None,
        "late_by": None,
        "resolves": None,
        "actions": [{"kind": "webhook", **document["actions"][0]["webhook"]}],
    }
    event = own_event("automation.triggered", "automation://guarded", firing, "f1")
    memory.log.add(event, "fire.default.x.f1")


@pytest.mark.parametrize(
    "path",
    [
        "/api/automations",
        "/api/automations/guarded",
        "/api/automations/guarded/firings",
        "/api/firings",
        "/api/firings/f1",
        "/api/events",
        "/api/events/f1",
        "/api/events/export",
    ],
)
async def test_what_is_read_is_masked(api: httpx.AsyncClient, written: None, path: str) -> None:
    answer = await api.get(path)
    assert answer.status_code == 200
    assert "https://hooks.example.com/…" in answer.text
    assert "T0K3N" not in answer.text
    assert "hunter2" not in answer.text


@pytest.mark.parametrize("column", ["document from automations", "payload from events", "actions from firings"])
async def test_sql_sees_it_masked(api: httpx.AsyncClient, written: None, column: str) -> None:
    answer = await api.post("/api/query", json={"sql": f"select {column}"})
    assert "https://hooks.example.com/…" in answer.text
    assert "T0K3N" not in answer.text


async def test_a_file_that_says_the_same_changes_nothing(api: httpx.AsyncClient, written: None) -> None:
    answer = await api.post("/api/automations", params={"dry_run": "true"}, content=RULE, headers=YAML)
    assert [item["change"] for item in answer.json()["items"]] == ["unchanged"]


async def test_a_variable_of_the_server_that_is_no_target_cannot_be_named(api: httpx.AsyncClient) -> None:
    rule = RULE.replace("- webhook: ", "- notify: {to: env:DATABASE_URL, title: x}\n      - webhook: ")
    answer = await api.post("/api/automations", content=rule, headers=YAML)
    assert answer.status_code == 422
    [problem] = answer.json()["problems"]
    assert problem["path"] == "automations[0].actions[0].notify.to"
    assert "AIRSIDE_NOTIFY_ONCALL" in problem["message"]
