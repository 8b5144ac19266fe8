"""What is accepted as an event, and what is said about what is not."""

from datetime import UTC, datetime

import orjson
import pytest

from airside.events import InvalidEvent, Limits, subjects, validation, wire

LIMITS = Limits()


def refused(body: bytes | dict[str, object], limits: Limits = LIMITS) -> str:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    with pytest.raises(InvalidEvent) as caught:
        validation.parse_event(raw, limits)
    return str(caught.value)


def event(**fields: object) -> dict[str, object]:
    return {"type": "table.updated", "resource": "table://w/s", **fields}


def test_the_least_event_gets_an_id_a_time_a_source_and_a_named_resource() -> None:
    now = datetime(2026, 11, 22, 9, tzinfo=UTC)
    found = validation.parse_event(b'{"type":"table.updated","resource":"table://warehouse/sales"}', now=now)
    assert (found.time, found.source, found.workspace) == (now, "api://events", "default")
    assert (found.resource.kind, found.resource.name) == ("table", "sales")
    assert len(found.id) == 36
    assert found.id[14] == "7"


def test_what_was_sent_is_what_stands_on_the_log() -> None:
    body = event(
        id="é b.*>",
        time="2026-11-22T09:00:00.123456+01:00",
        source="airflow://prod",
        resource={"id": "a b.*> é", "kind": "table", "name": "n", "labels": {"team": "x"}},
        related=[{"id": "flow://f", "role": "flow", "labels": {}}],
        payload={"rows": 3, "text": "é\n", "big": 2**63 - 1, "deep": {"a": [1, {"b": None}]}},
        causes=["c1", "c2"],
    )
    found = wire.decode(wire.encode(validation.parse_event(orjson.dumps(body))))
    assert found.id == "é b.*>"
    assert found.time == datetime(2026, 11, 22, 8, 0, 0, 123456, tzinfo=UTC)
    assert found.payload_object() == body["payload"]
    assert found.causes == ("c1", "c2")
    assert found.related[0].role == "flow"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'{"type":"a"}', "resource: Field required"),
        (event(colour="red"), "colour: unknown field"),
        (event(specversion="1.0"), "specversion: this is a CloudEvent"),
        (event(resource={"id": "x", "colour": "red"}), "resource.colour: unknown field"),
        (event(type="a b"), "type: must be one or more words between dots"),
        (event(type="a.*"), "type: "),
        (event(type="a..b"), "type: "),
        (event(type=""), "type: "),
        (event(type=5), "type: Input should be a valid string"),
        (event(type="automation.created"), "type: `automation.*` is written by Airside itself alone"),
        (event(type="clock.ticked"), "written by Airside itself"),
        (event(time="2026-11-22T09:00:00"), "time: must say its time zone"),
        (event(time=1_763_000_000), "time: must be text"),
        (event(time="yesterday"), "time: must be a date and time"),
        (event(time="2026"), "time: must be a date and time"),
        (event(time="2026-11-22"), "time: must be a date and time"),
        (event(time="0001-01-01T00:00:00+05:00"), "time: must lie in the years 1 to 9999"),
        (event(id="a\nb"), "id: must not be empty or hold control characters"),
        (event(resource=""), "resource.id: must not be empty"),
        (event(resource={"id": "x", "labels": {"n": 1}}), "resource.labels.n: Input should be a valid string"),
        (event(resource={"id": "x", "labels": {f"l{n}": "" for n in range(10_000)}}), "10,000 labels; at most 64"),
        (event(payload=[1]), "payload: "),
        (event(payload={"t": "a\0b"}), "payload.t: text must not hold NUL"),
        (event(payload={"a": [{"n": 2**63}]}), "payload.a.0.n: a whole number beyond 64 bits"),
        (b'{"type":"t","resource":"r","payload":{"n":123456789012345678901234567890}}', "beyond 64 bits"),
        (b'{"type":"t","resource":"r","payload":{"n":' + b"9" * 5_000 + b"}}", "not valid JSON"),
        (b'{"type":"t","resource":"r","payload":{"n":NaN}}', "not valid JSON"),
        (b'{"type":"t","resource":"r","payload":{"n":Infinity}}', "not valid JSON"),
        (b'{"type":"t","resource":"r","payload":{"t":"\\ud800"}}', "not valid JSON"),
        (b'{"type":"t","resource":"r","payload":{"t":"\xff"}}', "not valid JSON"),
        (b'{"type":"t","resource":"r","payload":{"x":' + b"[" * 80 + b"]" * 80 + b"}}", "nested deeper than 64"),
        (b'{"type":"t","resource":"r","payload":{"x":' + b"[" * 99_999 + b"]" * 99_999 + b"}}", "not valid JSON"),
        (event(payload={"x": "y" * 300_000}), "at most 262,144 are taken"),
        (event(related=[{"id": "x"}]), "related.0.role: Field required"),
        (event(related=[{"id": "x", "role": "r"}] * 101), "related: 101 entries; at most 100"),
        (event(causes=["c"] * 101), "causes: 101 entries"),
        (event(resource="x" * 513), "resource: 513 characters; at most 512"),
        (event(workspace="../x"), "workspace: "),
        (event(position=7), "set by the log alone"),
    ],
)
def test_a_refusal_names_the_field_and_what_was_expected(body: bytes | dict[str, object], said: str) -> None:
    assert said in refused(body)


def test_every_wrong_field_is_named_at_once() -> None:
    said = refused(event(type="a b", time="2026-01-01T00:00:00", colour=1, payload=3))
    for field in ("type:", "time:", "colour:", "payload:"):
        assert field in said


def test_limits_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRSIDE_LIMITS_MAX_LABELS", "1")
    labels = {"a": "1", "b": "2"}
    assert "2 labels; at most 1" in refused(event(resource={"id": "x", "labels": labels}), Limits())


def test_a_line_of_ndjson_is_an_event_or_what_is_wrong_with_it() -> None:
    good, bad = list(validation.parse_lines([b'{"type":"a","resource":"r"}', b"", b"  ", b"{"]))
    assert isinstance(good, wire.WireEvent)
    assert isinstance(bad, InvalidEvent)


@pytest.mark.parametrize("text", ["a.b", "a b", "*", ">", "a\r\nb", "é", "x" * 5_000, "."])
def test_nothing_a_user_chooses_breaks_out_of_a_subject(text: str) -> None:
    tokens = subjects.event("default", text, "table.updated").split(".")
    assert tokens[0::4] == ["ev", "updated"]
    assert len(tokens) == 5
    assert tokens[2].isalnum()
    typed = subjects.event("default", "r", text).split(".")
    assert all(token and token.isascii() and not set(token) & set("*> \r\n") for token in typed)
    assert len(".".join(typed)) < 255
