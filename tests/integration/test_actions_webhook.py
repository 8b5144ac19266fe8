"""What a webhook looks like on the wire."""

import hashlib
import json
import time
from base64 import b64decode, b64encode
from typing import Any

import pytest
from tests.support.actions import SECRET, attempt_of, settings
from tests.support.receiver import Received, http, receiver

from airside.coordinator.actions import ActionContext, ActionRefused, ActionRetry
from airside.coordinator.actions.webhook import Webhook

FIRING: dict[str, Any] = {"id": "f00d", "automation": "late", "key": {"resource": {"id": "a/b"}}, "actions": [{}]}


def attempt(environment: dict[str, str] | None = None, **parameters: Any) -> ActionContext:
    return attempt_of("webhook", parameters, settings(environment=environment) if environment else settings(), FIRING)


async def sent(**parameters: Any) -> Received:
    async with receiver() as target:
        parameters["url"] = target.url + parameters.pop("path", "/")
        await Webhook().run(attempt(**parameters))
    return target.received[0]


def verify(request: Received, secret: str) -> bool:
    """Check a signature as a receiver would, with nothing of ours: HMAC by hand, as RFC 2104 has it."""
    key = b64decode(secret.removeprefix("whsec_")).ljust(64, b"\0")
    content = b".".join(
        (request.headers["webhook-id"].encode(), request.headers["webhook-timestamp"].encode(), request.body)
    )
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key) + content).digest()
    signed = hashlib.sha256(bytes(byte ^ 0x5C for byte in key) + inner).digest()
    return f"v1,{b64encode(signed).decode()}" in request.headers["webhook-signature"].split(" ")


async def test_a_signed_request_verifies_and_a_changed_one_does_not() -> None:
    request = await sent(secret="orders")
    assert verify(request, SECRET)
    assert abs(time.time() - int(request.headers["webhook-timestamp"])) < 60
    changed = Received(request.method, request.path, request.headers, request.body + b" ")
    assert not verify(changed, SECRET)
    assert not verify(request, "whsec_" + b64encode(b"another key of enough bytes").decode())


async def test_without_a_secret_there_is_an_id_and_no_signature() -> None:
    request = await sent()
    assert request.headers["webhook-id"] == request.headers["idempotency-key"] == "f00d.0"
    assert "webhook-signature" not in request.headers


async def test_the_default_body_is_the_firing_and_its_event() -> None:
    request = await sent()
    assert (request.method, request.headers["content-type"]) == ("POST", "application/json")
    assert json.loads(request.body) == {
        "id": "f00d",
        "automation": "late",
        "key": {"resource": {"id": "a/b"}},
        "event": None,
    }


@pytest.mark.parametrize(
    ("body", "expected", "content_type"),
    [
        ({"text": "late: {{ key.resource.id }}", "n": 1}, b'{"text":"late: a/b","n":1}', "application/json"),
        ("late: {{ key.resource.id }}", b"late: a/b", "text/plain; charset=utf-8"),
        ('{"text": {{ key.resource.id | json }}}', b'{"text": "a/b"}', "application/json"),
    ],
)
async def test_a_given_body(body: Any, expected: bytes, content_type: str) -> None:
    request = await sent(body=body)
    assert (request.body, request.headers["content-type"]) == (expected, content_type)


async def test_method_path_and_headers() -> None:
    request = await sent(
        method="GET",
        path="/hooks/{{ key.resource.id }}?of={{ automation.name }}",
        headers={"X-Rule": "{{ automation.name }}"},
    )
    assert (request.method, request.path, request.body) == ("GET", "/hooks/a%2Fb?of=late", b"")
    assert request.headers["x-rule"] == "late"
    assert "content-type" not in request.headers
    request = await sent(headers={"Content-Type": "text/csv", "User-Agent": "mine"}, body="a,b")
    assert (request.headers["content-type"], request.headers["user-agent"]) == ("text/csv", "mine")


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"url": "https://{{ key.resource.id }}/"}, "the host must be written out"),
        ({"url": "https://example.com/", "secret": "nobody"}, "set AIRSIDE_SECRET_NOBODY"),
        ({"url": "https://example.com/", "headers": {"Host": "other"}}, "set by the connection itself"),
        ({"url": "https://example.com/", "headers": {"X": "{{ 1 + 1 }}"}}, "arithmetic"),
        ({"url": "https://127.0.0.2/"}, "not public"),
        ({"url": "https://example.com/", "body": "x" * 60_000}, "at most 16,384 are taken"),
        ({"url": "https://example.com/", "body": {"a": ["{{ key }}" * 1_000] * 50}}, "the texts of this action"),
    ],
)
async def test_what_cannot_be_sent_is_refused_for_good(parameters: dict[str, Any], reason: str) -> None:
    with pytest.raises(ActionRefused, match=reason):
        await Webhook().run(attempt(**parameters))


async def test_a_line_break_from_an_event_cannot_add_a_header() -> None:
    async with receiver() as target:
        given = attempt(url=target.url, headers={"X": "{{ automation.name }}"})
        given.texts.context["automation"]["name"] = "a\r\nX-Admin: yes"
        with pytest.raises(ActionRefused, match="method and headers"):
            await Webhook().run(given)
    assert target.received == []


@pytest.mark.parametrize(
    ("status", "retry_after", "least", "most"),
    [
        (503, None, 0, 0),
        (503, "7", 7, 7),
        (429, "99999999999", 86_400, 86_400),
        (429, "Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
        (429, "Wed, 21 Oct 2065 07:28:00 GMT", 86_400, 86_400),
        (429, "soon", 0, 0),
        (408, "-3", 0, 0),
    ],
)
async def test_what_may_pass_is_tried_again_when_the_receiver_says(
    status: int, retry_after: str | None, least: float, most: float
) -> None:
    answer = http(status, **({"Retry_After": retry_after} if retry_after else {}))
    async with receiver(answer) as target:
        with pytest.raises(ActionRetry, match=f"answered {status}") as caught:
            await Webhook().run(attempt(url=target.url))
    assert least <= caught.value.after_seconds <= most


async def test_the_rules_own_timeout_is_kept() -> None:
    async def silent(writer: Any) -> None:
        await writer.wait_closed()

    async with receiver(silent) as target:
        with pytest.raises(ActionRetry, match=r"did not answer within 0\.2 s"):
            await Webhook().run(attempt(url=target.url, timeout="200ms"))


async def test_a_url_and_headers_come_from_variables_of_the_server() -> None:
    async with receiver() as target:
        environment = {
            "AIRSIDE_WEBHOOK_ONCALL": f"{target.url}/T0K3N?of={{{{ key }}}}\n",
            "AIRSIDE_HEADER_ONCALL": "Bearer hunter2",
        }
        named = {"url": "env:AIRSIDE_WEBHOOK_ONCALL", "headers": {"Authorization": "env:AIRSIDE_HEADER_ONCALL"}}
        result = await Webhook().run(attempt(environment, **named))
    [request] = target.received
    assert request.path.startswith("/T0K3N?of={{%20key"), "what a variable holds is no template"
    assert request.headers["authorization"] == "Bearer hunter2"
    assert result == {"status": 200, "url": f"{target.url}/…"}


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"url": "env:AIRSIDE_WEBHOOK_NOBODY"}, "AIRSIDE_WEBHOOK_NOBODY is not set"),
        ({"url": "env:AIRSIDE_SECRET_ORDERS"}, "begin with AIRSIDE_WEBHOOK_"),
        (
            {"url": "https://example.com/", "headers": {"X": "env:AIRSIDE_HEADER_A"}},
            "only where a block or a variable says",
        ),
    ],
)
async def test_variables_that_may_not_be_named_are_refused_for_good(parameters: dict[str, Any], reason: str) -> None:
    with pytest.raises(ActionRefused, match=reason):
        await Webhook().run(attempt(**parameters))
