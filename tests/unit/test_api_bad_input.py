"""Bad input, row by row: each a clear answer, and nothing lost of what was good."""

import httpx
import orjson
import pytest
from tests.support.api_plane import MemoryPlane
from tests.support.api_samples import event, fields

pytest_plugins = ["tests.support.api_fixtures"]

JSON = {"Content-Type": "application/json"}
YAML = {"Content-Type": "application/yaml"}


def posted(**changes: object) -> bytes:
    return orjson.dumps(event(**changes))


def deep(levels: int) -> bytes:
    return posted(payload={}).replace(b'"payload":{}', b'"payload":' + b'{"a":' * levels + b"1" + b"}" * levels)


#: body, status, the field that is named, words of its message
EVENTS = {
    "malformed JSON": (b'{"type": "table.updated",', 400, "", "not valid JSON"),
    "two objects": (posted() + posted(), 400, "", "not valid JSON"),
    "no object at all": (b'"table.updated"', 422, "", "JSON object"),
    "an empty body": (b"", 400, "", "not valid JSON"),
    "bytes that are not UTF-8": (b'{"type": "\xff\xfe"}', 400, "", "not UTF-8: byte 10 is 0xff"),
    "an unknown field": (posted(colour="red"), 422, "colour", "unknown field"),
    "an unknown field of the resource": (
        posted(resource={"id": "a", "idd": "b"}),
        422,
        "resource.idd",
        "unknown field",
    ),
    "5 MB": (posted(payload={"x": "y" * 5_000_000}), 413, "", "at most 262,144"),
    "a number for a type": (posted(type=7), 422, "type", "string"),
    "a type with a space": (posted(type="table updated"), 422, "type", "words between dots"),
    "a type with a wildcard": (posted(type="table.*"), 422, "type", "words between dots"),
    "a reserved type": (posted(type="automation.triggered"), 422, "type", "Airside itself"),
    "no resource": (orjson.dumps({"type": "a.b"}), 422, "resource", "required"),
    "an empty resource id": (posted(resource=""), 422, "resource.id", "empty"),
    "a list for a payload": (posted(payload=[1]), 422, "payload", "dict"),
    "a label that is a number": (posted(resource={"id": "a", "labels": {"n": 1}}), 422, "resource.labels.n", "string"),
    "NaN": (posted(payload={"x": "NAN"}).replace(b'"NAN"', b"NaN"), 400, "", "NaN at line 1"),
    "Infinity": (posted(payload={"x": "NAN"}).replace(b'"NAN"', b"-Infinity"), 400, "", "Infinity at line 1"),
    "a time without zone": (posted(time="2026-11-22T09:00:00"), 422, "time", "zone"),
    "a time that is a number": (posted(time=1_700_000_000), 422, "time", "zone"),
    "no time at all": (posted(time="yesterday"), 422, "time", ""),
    "10,000 labels": (
        posted(resource={"id": "a", "labels": {f"l{n}": "x" for n in range(10_000)}}),
        422,
        "resource.labels",
        "10,000 labels; at most 64",
    ),
    "nested 100 deep": (deep(100), 422, "payload.", "nested deeper than 64"),
    "nested 100,000 deep": (deep(40_000), 400, "", "not valid JSON"),
    "a number of 30 digits": (
        posted(payload={"n": 1}).replace(b'"n":1', b'"n":' + b"9" * 30),
        422,
        "payload.n",
        "64 bits",
    ),
    "a NUL in text": (posted(payload={"n": "a\0b"}), 422, "payload.n", "NUL"),
    "a control character in the id": (posted(id="a\nb"), 422, "id", "control"),
    "a position": (posted(position=7), 422, "position", "set by the log alone"),
}


@pytest.mark.parametrize("name", EVENTS)
async def test_a_bad_event_is_answered_clearly(api: httpx.AsyncClient, memory: MemoryPlane, name: str) -> None:
    body, status, field, words = EVENTS[name]
    answer = await api.post("/api/events", content=body, headers=JSON)
    document = answer.json()
    assert answer.status_code == status == document["status"]
    assert answer.headers["content-type"] == "application/problem+json"
    found = [entry for entry in document["problems"] if entry["field"].startswith(field) and words in entry["message"]]
    assert found, document
    assert memory.log.entries == []


@pytest.mark.parametrize("name", EVENTS)
async def test_the_good_neighbours_of_a_bad_event_can_be_sent_again(
    api: httpx.AsyncClient, memory: MemoryPlane, name: str
) -> None:
    body = EVENTS[name][0]
    if b"\n" in body or not body:
        pytest.skip("no line of NDJSON")
    good = [posted(id="good-1"), posted(id="good-2")]
    refused = await api.post(
        "/api/events", content=b"\n".join([good[0], body, good[1]]), headers={"Content-Type": "application/x-ndjson"}
    )
    assert refused.status_code == 422
    assert {field.partition(".")[0] for field in fields(refused)} == {"2"}
    taken = await api.post("/api/events", content=b"\n".join(good), headers={"Content-Type": "application/x-ndjson"})
    assert taken.json()["accepted"] == 2
    assert [entry.event.id for entry in memory.log.entries] == ["good-1", "good-2"]


HARMLESS_IDS = [
    "with spaces",
    "with.dots.and.*",
    ">",
    "*",
    "a/b?c#d",
    "ünïcödé ☃",
    "$JS.API.>",
    "../../etc",
    "'; DROP TABLE events;--",
]


@pytest.mark.parametrize("identifier", HARMLESS_IDS)
async def test_odd_ids_are_taken_and_found_again(api: httpx.AsyncClient, memory: MemoryPlane, identifier: str) -> None:
    resource = f"table://{identifier}"
    answer = await api.post("/api/events", json=event(id=identifier, resource=resource))
    assert answer.status_code == 202
    subject = memory.log.entries[0].subject
    assert subject.isascii()
    assert not set(subject) & set(" *>")
    assert subject.count(".") == 4
    url = httpx.URL("http://127.0.0.1:7700/api/events/").copy_with(raw_path=b"/api/events/" + quoted(identifier))
    assert (await api.get(url)).json()["id"] == identifier
    listed = await api.get("/api/events", params={"resource": resource})
    assert [item["id"] for item in listed.json()["items"]] == [identifier]


def quoted(text: str) -> bytes:
    return "".join(f"%{byte:02X}" for byte in text.encode()).encode()


TEN_MISTAKES = """\
automations:
  - name: Bad Name
    trigger:
      match: {type: flow_run.failed}
      count: many
    actions:
      - notify: {to: oncall}
  - name: no-trigger
    actions:
      - notify: {to: oncall}
  - name: no-actions
    trigger:
      match: {type: a.b}
  - name: twins
    trigger: {match: {type: a.b}}
    actions: [{notify: {to: oncall}}]
  - name: twins
    trigger: {match: {type: a.b}}
    actions: [{notify: {to: oncall}}]
  - name: unknown-action
    trigger: {match: {type: a.b}}
    actions: [{shout: {to: oncall}}]
  - name: bad-duration
    trigger: {match: {type: a.b}, count: 2, within: soon}
    actions: [{notify: {to: oncall}}]
  - name: bad-zone
    trigger:
      absence: {type: a.b}
      by: {time: "09:00", timezone: Mars/Olympus}
    actions: [{notify: {to: oncall}}]
  - name: bad-regex
    trigger: {match: {type: a.b, where: {"$.x": {matches: "("}}}}
    actions: [{notify: {to: oncall}}]
  - name: extra-key
    trigger: {match: {type: a.b}}
    actions: [{notify: {to: oncall}}]
    colour: red
"""


async def test_ten_mistakes_in_a_file_of_automations_are_all_told(api: httpx.AsyncClient, memory: MemoryPlane) -> None:
    answer = await api.post("/api/automations", content=TEN_MISTAKES, headers=YAML)
    document = answer.json()
    assert answer.status_code == 422
    assert document["type"] == "urn:airside:problem:invalid-automations"
    assert len(document["problems"]) >= 10
    for problem in document["problems"]:
        assert problem["line"] >= 1
        assert problem["column"] >= 1
        assert problem["message"]
    assert len({problem["line"] for problem in document["problems"]}) >= 9
    assert memory.log.entries == []


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        pytest.param(b"automations: [", "application/yaml", 422, id="no YAML"),
        pytest.param(b"{", "application/json", 400, id="no JSON"),
        pytest.param(b"\xff", "text/plain", 400, id="no text"),
        pytest.param(b"a: &x [1]\nb: *x\n", "application/yaml", 422, id="an alias"),
        pytest.param(b"# x\n" * 400_000, "application/yaml", 413, id="too large"),
        pytest.param(b"automations: []", "application/toml", 415, id="another format"),
    ],
)
async def test_what_is_no_file_of_automations_is_refused(
    api: httpx.AsyncClient, body: bytes, kind: str, status: int
) -> None:
    answer = await api.post("/api/automations", content=body, headers={"Content-Type": kind})
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/events?limit=0", "limit"),
        ("/api/events?limit=1001", "limit"),
        ("/api/events?limit=x", "limit"),
        ("/api/events?since=yesterday", "since"),
        ("/api/events?since=2026-11-22T09:00:00", "since"),
        ("/api/events?label=team", "label.0"),
        ("/api/events?order=sideways", "order"),
        ("/api/events?cursor=nonsense", "cursor"),
        ("/api/events?tpye=a.b", "tpye"),
        ("/api/events/count?limit=1", "limit"),
        ("/api/events/stream?after=-1", "after"),
        ("/api/events/export?first=0", "first"),
        ("/api/resources?cursor=!", "cursor"),
        ("/api/firings?outcome=maybe", "outcome"),
    ],
)
async def test_a_bad_parameter_is_named(api: httpx.AsyncClient, path: str, field: str) -> None:
    answer = await api.get(path)
    assert answer.status_code == 422
    assert field in fields(answer)


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"{", 400, None),
        (b"[]", 422, "body"),
        (b"{}", 422, "sql"),
        (b'{"sql": ""}', 422, "sql"),
        (b'{"sql": "SELECT 1", "limit": 0}', 422, "limit"),
        (b'{"sql": "SELECT 1", "timeout": 1e9}', 422, "timeout"),
        (b'{"sql": "SELECT 1", "colour": 1}', 422, "colour"),
    ],
)
async def test_a_bad_query_is_refused(api: httpx.AsyncClient, body: bytes, status: int, field: str | None) -> None:
    answer = await api.post("/api/query", content=body, headers=JSON)
    assert answer.status_code == status
    if field:
        assert field in fields(answer)
