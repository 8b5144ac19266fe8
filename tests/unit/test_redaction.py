"""What of automations never leaves the log."""

import msgspec
import orjson
import pytest
from tests.support.api_plane import own_event

from airside.events import redaction
from airside.events.wire import Record

SECRETS = ("T0K3N", "hunter2", "s3cr3t")
DOCUMENT = {
    "name": "a",
    "actions": [
        {"emit": {"type": "a.b"}},
        {
            "webhook": {
                "url": "https://hooks.example.com/services/T0K3N?key=s3cr3t",
                "headers": {"Authorization": "Bearer hunter2", "X-Team": "env:AIRSIDE_HEADER_TEAM"},
                "body": {"routing_key": "k", "api_key": "s3cr3t", "text": "{{ firing.reason }}"},
            }
        },
    ],
    "on_resolve": [{"webhook": {"url": "env:AIRSIDE_WEBHOOK_ONCALL"}}],
}


def test_a_document_keeps_where_a_webhook_goes_and_loses_what_opens_the_door() -> None:
    shown = redaction.document(DOCUMENT)
    assert shown["actions"][1]["webhook"] == {
        "url": "https://hooks.example.com/…",
        "headers": {"Authorization": "***", "X-Team": "env:AIRSIDE_HEADER_TEAM"},
        "body": {"routing_key": "k", "api_key": "***", "text": "{{ firing.reason }}"},
    }
    assert shown["actions"][0] == DOCUMENT["actions"][0]
    assert shown["on_resolve"] == DOCUMENT["on_resolve"]
    assert redaction.document(shown) == shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.com", "https://example.com"),
        ("https://example.com/", "https://example.com/…"),
        ("https://example.com:8443?token=1", "https://example.com:8443/…"),
        ("https://me:pass@example.com/x", "https://example.com/…"),
        ("https://example.com/…", "https://example.com/…"),
        ("env:AIRSIDE_WEBHOOK_ONCALL", "env:AIRSIDE_WEBHOOK_ONCALL"),
        ("env: https://x/T0K3N", "***"),
        ("T0K3N", "***"),
    ],
)
def test_of_a_url_scheme_and_host_stay(url: str, shown: str) -> None:
    assert redaction.url(url) == shown


def test_events_that_carry_documents_or_actions_are_masked_and_others_are_not_looked_at() -> None:
    written = own_event("automation.updated", "automation://a", {"name": "a", "revision": 2, "document": DOCUMENT})
    actions = [{"kind": "webhook", **DOCUMENT["actions"][1]["webhook"]}]
    fired = own_event("automation.triggered", "automation://a", {"automation": "a", "actions": actions})
    for event, subject in ((written, "ctl.default.x.automation.updated"), (fired, "fire.default.x.y")):
        shown = redaction.record(Record(1, 0, subject, event))
        assert not any(secret in bytes(shown.event.payload).decode() for secret in SECRETS)
        assert shown.event.payload_object().keys() == event.payload_object().keys()
        assert redaction.record(shown) is shown
        posted = Record(1, 0, "ev.default.x.automation.updated", event)
        assert redaction.record(posted) is posted


def test_a_payload_that_is_no_object_is_left_to_those_who_refuse_it() -> None:
    event = own_event("automation.updated", "automation://a", {})
    for payload in (b"[1]", b"{", orjson.dumps({"document": 7, "actions": "x"})):
        entry = Record(1, 0, "ctl.x", msgspec.structs.replace(event, payload=msgspec.Raw(payload)))
        assert redaction.record(entry) is entry
