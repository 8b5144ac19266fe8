"""The log as it stands, for those who fold it where they run: without secrets, with what is no event."""

from pathlib import Path

import httpx
import orjson
from tests.integration.test_questions import YAML, command
from tests.support.api_samples import event

from airside.coordinator.coordinator import Coordinator
from airside.events import exported, stored
from airside.events.wire import Record

Plane = tuple[Coordinator, httpx.AsyncClient]
SECRET = "hunter2"
RULE = f"""\
- name: called
  trigger: {{match: {{type: job.failed}}, count: 2, within: 1h}}
  actions:
    - webhook: {{url: "https://hooks.example.com/{SECRET}", headers: {{Authorization: "Bearer {SECRET}"}}}}
"""
LINE_ENDS_ELSEWHERE = "one\u2028two\x85three"


async def test_entries_come_as_they_stand_but_for_secrets(plane: Plane) -> None:
    coordinator, api = plane
    await api.post("/api/automations", content=RULE, headers=YAML)
    await api.post("/api/events", json=[event(1, type="job.failed", payload={"text": LINE_ENDS_ELSEWHERE})])
    stranger = await coordinator.log.nc.request("ev.default.abc.x", b"no\nevent", timeout=60)
    last = orjson.loads(stranger.data)["seq"]
    answer = await api.get("/api/events/export", params={"last": last}, headers={"Accept": stored.MEDIA_TYPE})
    assert answer.headers["content-type"] == stored.MEDIA_TYPE
    entries = list(stored.read(answer.content.split(b"\n")[:-1]))
    assert [entry[0] for entry in entries] == list(range(1, last + 1))
    assert entries[-1][2:] == (b"ev.default.abc.x", b"no event")
    assert SECRET.encode() not in answer.content
    shown = (await api.get("/api/events/event-1")).json()
    [posted] = [found for found in map(read, entries) if found and found.event.id == "event-1"]
    assert posted.event.payload_object() == shown["payload"] == {"text": LINE_ENDS_ELSEWHERE}


def read(entry: stored.Stored) -> Record | None:
    try:
        return stored.record(entry)
    except stored.NotAnEvent:
        return None


async def test_a_backtest_and_an_export_take_any_text_on_the_log(plane: Plane, tmp_path: Path) -> None:
    _, api = plane
    sent = [event(n, type="job.failed", payload={"text": LINE_ENDS_ELSEWHERE}) for n in (1, 2)]
    await api.post("/api/events", json=sent)
    rules, file = tmp_path / "rules.yaml", tmp_path / "log.ndjson"
    rules.write_text(RULE)
    ran = await command(plane, "automations", "backtest", str(rules), "--json")
    assert [[each["id"] for each in firing["events"]] for firing in ran.json] == [["event-1", "event-2"]]
    assert (await command(plane, "events", "export", "-o", str(file))).code == 0
    with file.open("rb") as lines:
        texts = [each.event.payload_object().get("text") for each in exported.read(lines)]
    assert [text for text in texts if text] == [LINE_ENDS_ELSEWHERE] * 2
