"""Whatever comes to a hook becomes events, or is refused for a named field and kept; nothing else can happen."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airside.coordinator.hooks import mapping, presets
from airside.coordinator.hooks.reading import Unmapped
from airside.coordinator.hooks.signatures import SCHEMES, Delivery, Forged, verify
from airside.events import wire
from airside.events.limits import Limits

LIMITS = Limits()
HOOK = mapping.Hook(name="any", workspace="acme")
WORDS = [
    "Records",
    "alerts",
    "alert",
    "body",
    "data",
    "detail",
    "event",
    "events",
    "action",
    "status",
    "labels",
    "object",
    "key",
    "id",
    "type",
    "time",
    "name",
    "s3",
    "bucket",
    "repository",
    "full_name",
    "workflow_run",
    "conclusion",
    "validation_results",
    "expectations",
    "meta",
    "run_id",
    "payload",
    "detail-type",
    "source",
    "success",
    "kwargs",
    "startsAt",
    "endsAt",
    "fingerprint",
    "eventName",
    "eventType",
    "object_kind",
    "resources",
    "team",
    "command",
]
HEADERS = [
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "x-hub-signature-256",
    "x-slack-signature",
    "authorization",
    "x-slack-request-timestamp",
    "stripe-signature",
    "x-pagerduty-signature",
    "x-signature-256",
    "x-gitlab-token",
    "x-airside-token",
]

texts = st.sampled_from(
    [*WORDS, "", "aws.s3", "a/b c", "x" * 600, "2026-11-22T09:00:00Z", "ObjectCreated:Put", "\x00\x1f"]
)
plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts | st.text()
values = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS) | st.text(), inner, max_size=6),
    max_leaves=30,
)


def encoded(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # lone surrogates, numbers beyond 64 bits
        return repr(value).encode("utf-8", "replace")


bodies = values.map(encoded) | st.binary(max_size=200)
kinds = st.sampled_from(
    ["application/json", "application/x-www-form-urlencoded", "text/plain", "", "application/x+json"]
)
events = st.sampled_from(["", "push", "workflow_run", "issues", "ping"])


@pytest.mark.parametrize("preset", presets.names())
@settings(max_examples=60)
@given(body=bodies, kind=kinds, event=events)
def test_any_body_is_mapped_or_kept(preset: str, body: bytes, kind: str, event: str) -> None:
    template = presets.load(preset)
    headers = {"content-type": kind, "x-github-event": event, "x-odd": "\x00é"}
    delivery = Delivery(headers, {"q": "\x00"}, body, datetime(2026, 11, 22, 9, 0, tzinfo=UTC))
    try:
        found = mapping.run(template, delivery, delivery.sha256, HOOK, LIMITS)
    except Unmapped as error:
        found = [mapping.keep(template, delivery, delivery.sha256, HOOK, LIMITS, problems=error.problems)]
    for each in found:
        assert each.workspace == "acme"
        assert wire.decode(wire.encode(each)) == each
        assert len(each.payload) <= LIMITS.max_event_bytes


@pytest.mark.parametrize("scheme", sorted(SCHEMES.keys() - {"none"}))
@given(value=st.text(max_size=100), body=st.binary(max_size=50))
def test_no_text_passes_for_a_signature(scheme: str, value: str, body: bytes) -> None:
    delivery = Delivery(dict.fromkeys(HEADERS, value), {"token": value}, body, datetime.now(UTC))
    with pytest.raises(Forged):
        verify(scheme, "a-secret-nobody-guesses", "", delivery)
