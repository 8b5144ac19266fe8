"""POST /hooks/{slug} and /api/hooks: who may make a hook, who may send to it, and what each is told."""

import base64
import gzip
import hmac
import json
import logging
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook
from tests.support.api_plane import MemoryPlane, unavailable
from tests.support.api_server import in_process

from airside.coordinator.tokens import Role

pytest_plugins = ["tests.support.api_fixtures"]

TEMPLATE = "type: job.{{ body.state }}\nresource: job://{{ body.job }}\nid: '{{ body.run }}'"
BODY = {"job": "load", "state": "done", "run": "r-1"}
STRANGER = {"host": "hooks.example.com", "origin": "https://elsewhere.example"}


async def make(api: httpx.AsyncClient, **wanted: Any) -> dict[str, Any]:
    answer = await api.post("/api/hooks", json={"name": "it", **wanted})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def send(
    api: httpx.AsyncClient, hook: dict[str, Any], body: Any, signature: str | None = None, **headers: str
) -> httpx.Response:
    """Send as GitHub does, from anywhere and without a token."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    signature = signature or hmac.new(hook["secret"].encode(), raw, "sha256").hexdigest()
    signed = {"X-Hub-Signature-256": f"sha256={signature}", "Content-Type": "application/json"}
    return await api.post(hook["path"], content=raw, headers={**STRANGER, **signed, **headers})


async def counts(api: httpx.AsyncClient) -> dict[str, int]:
    (hook,) = (await api.get("/api/hooks")).json()["items"]
    return {name: number for name, number in hook["counts"].items() if number}


async def events(api: httpx.AsyncClient) -> list[dict[str, Any]]:
    return (await api.get("/api/events")).json()["items"]  # type: ignore[no-any-return]


async def test_a_signed_delivery_becomes_an_event_once_however_often_it_comes(api: httpx.AsyncClient) -> None:
    hook = await make(api, template=TEMPLATE, signature="github")
    first = await send(api, hook, BODY)
    assert first.status_code == 202
    assert first.json()["accepted"] == 1
    again = await send(api, hook, BODY)
    assert again.status_code == 202
    assert again.json() == {"accepted": 0, "duplicates": 1, "first": None, "last": None}
    assert [(event["id"], event["type"]) for event in await events(api)] == [("r-1", "job.done")]
    assert await counts(api) == {"accepted": 1, "duplicates": 1}


async def test_a_forged_delivery_leaves_nothing_but_a_count(
    api: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    hook = await make(api, template=TEMPLATE, signature="github")
    with caplog.at_level(logging.DEBUG):
        for _ in range(3):
            refused = await send(api, hook, BODY, signature="0" * 64)
            assert refused.status_code == 401
            assert refused.headers["content-type"] == "application/problem+json"
    assert await events(api) == []
    assert await counts(api) == {"refused": 3}
    reports = [record.getMessage() for record in caplog.records if record.name == "airside.hooks"]
    assert len(reports) == 1
    assert "it" in reports[0]
    assert hook["secret"] not in caplog.text
    assert hook["path"].rpartition("/")[2] not in " ".join(reports)
    metrics = (await api.get("/metrics")).text
    assert 'airside_hook_deliveries_total{outcome="refused"} 3.0' in metrics


async def test_a_stale_delivery_is_refused_and_a_fresh_one_is_taken(api: httpx.AsyncClient) -> None:
    hook = await make(api, preset="standard")
    body = json.dumps({"type": "order.placed", "timestamp": "2026-11-22T08:00:00Z", "data": {"n": 1}})
    now = datetime.now(UTC)
    for moment, status in (
        (now, 202),
        (now, 202),
        (now - timedelta(minutes=6), 401),
        (now + timedelta(minutes=6), 401),
    ):
        headers = {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": Webhook(hook["secret"]).sign("msg_1", moment, body),
        }
        answer = await api.post(hook["path"], content=body, headers={**STRANGER, **headers})
        assert answer.status_code == status, answer.text
    assert await counts(api) == {"accepted": 1, "duplicates": 1, "refused": 2}


async def test_an_address_that_is_not_there_is_not_found(api: httpx.AsyncClient) -> None:
    await make(api, template=TEMPLATE, signature="none")
    for path in ("/hooks/" + "0" * 32, "/hooks/x", "/hooks/%F0%9F%98%80", "/hooks/it"):
        answer = await api.post(path, json=BODY)
        assert answer.status_code == 404
        assert answer.json()["detail"] == "There is no such hook."
    for path in ("/hooks", "/hooks/", "/hooks/a/b", "/hooks/../api/hooks/x/y"):
        assert (await api.post(path, json=BODY)).status_code == 404


async def test_a_delivery_that_does_not_fit_is_refused_field_by_field_and_kept(api: httpx.AsyncClient) -> None:
    hook = await make(api, template=TEMPLATE, signature="github")
    for _ in range(2):
        answer = await send(api, hook, {"state": "done", "note": "important"})
        assert answer.status_code == 422
    problem = answer.json()
    assert problem["type"] == "urn:airside:problem:hook-unmapped"
    assert {entry["field"] for entry in problem["problems"]} <= {"resource.id", "id"}
    (event,) = await events(api)
    assert (event["id"], event["type"], event["resource"]["id"]) == (problem["kept"], "hook.unmapped", "hook://it")
    assert event["payload"]["body"] == {"state": "done", "note": "important"}
    assert await counts(api) == {"unmapped": 2}


async def test_types_that_airside_alone_writes_are_refused(api: httpx.AsyncClient) -> None:
    hook = await make(api, template="type: '{{ body.type }}'\nresource: x", signature="github")
    for kind in ("automation.deleted", "action.succeeded", "sla.met", "audit.login", "clock.ticked"):
        answer = await send(api, hook, {"type": kind})
        assert answer.status_code == 422
        assert [entry["field"] for entry in answer.json()["problems"]] == ["type"]
    assert {event["type"] for event in await events(api)} == {"hook.unmapped"}


async def test_slack_gets_its_challenge_back_only_when_it_signed(api: httpx.AsyncClient) -> None:
    hook = await make(api, preset="slack", secret="slack-signing-secret")
    body = json.dumps({"type": "url_verification", "challenge": "3eZbrw1aB", "token": "x"}).encode()
    stamp = str(int(datetime.now(UTC).timestamp()))
    good = "v0=" + hmac.new(b"slack-signing-secret", f"v0:{stamp}:".encode() + body, "sha256").hexdigest()
    for signature, status in ((good, 200), ("v0=" + "0" * 64, 401)):
        headers = {**STRANGER, "x-slack-signature": signature, "x-slack-request-timestamp": stamp}
        answer = await api.post(hook["path"], content=body, headers=headers)
        assert answer.status_code == status
        assert (answer.json().get("challenge") == "3eZbrw1aB") == (status == 200)
    assert await events(api) == []


async def test_the_secret_is_in_the_first_answer_and_in_no_other(api: httpx.AsyncClient) -> None:
    hook = await make(api, preset="github")
    given = "the-sender's-own-secret"
    own = await make(api, name="own", preset="stripe", secret=given)
    assert own["secret"] == given
    for path in ("/api/hooks", "/api/hooks/it", "/api/hooks/own", "/metrics", "/api/status", "/api/events"):
        text = (await api.get(path)).text
        assert hook["secret"] not in text
        assert given not in text
    for wanted in ({"name": "own", "preset": "stripe"}, {"name": "x", "preset": "no"}, {"name": "x", "colour": 1}):
        refused = await api.post("/api/hooks", json={**wanted, "secret": given})
        assert refused.status_code in (409, 422)
        assert given not in refused.text


async def test_a_removed_hook_is_gone_at_once_and_its_name_is_free_again(api: httpx.AsyncClient) -> None:
    hook = await make(api, template=TEMPLATE, signature="github")
    assert (await api.post("/api/hooks", json={"name": "it", "preset": "github"})).status_code == 409
    assert (await api.delete("/api/hooks/it")).status_code == 204
    assert (await send(api, hook, BODY)).status_code == 404
    assert (await api.delete("/api/hooks/it")).status_code == 404
    assert (await make(api, preset="github"))["path"] != hook["path"]


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"name": "No Spaces", "preset": "github"}, "name"),
        ({}, "preset"),
        ({"preset": "github", "template": TEMPLATE}, "preset"),
        ({"preset": "gitub"}, "preset"),
        ({"template": TEMPLATE}, "signature"),
        ({"template": "type: a.b", "signature": "none"}, "template"),
        ({"preset": "github", "signature": "md5"}, "signature"),
        ({"preset": "github", "secret": "short"}, "secret"),
        ({"preset": "standard", "secret": "whsec_***not base64***"}, "secret"),
        ({"preset": "github", "header": "X-Own"}, "header"),
        ({"preset": "grafana", "header": "X Own"}, "header"),
        ({"preset": "github", "workspace": "../x"}, "workspace"),
    ],
)
async def test_a_hook_that_cannot_be_is_refused_with_the_field(
    api: httpx.AsyncClient, wanted: dict[str, str], field: str
) -> None:
    answer = await api.post("/api/hooks", json={"name": "it", **wanted})
    assert answer.status_code == 422
    assert [entry["field"] for entry in answer.json()["problems"]] == [field]


async def test_bodies_are_bounded_also_when_they_are_compressed(tmp_path: Path) -> None:
    plane = MemoryPlane(tmp_path, max_hook_bytes=2_000)
    async with in_process(plane) as api:
        hook = await make(api, template=TEMPLATE, signature="github")
        assert (await send(api, hook, {**BODY, "x": "y" * 2_000})).status_code == 413
        bomb = gzip.compress(b"x" * 5_000_000)
        answer = await api.post(hook["path"], content=bomb, headers={**STRANGER, "Content-Encoding": "gzip"})
        assert answer.status_code == 413
        raw = json.dumps(BODY).encode()
        signature = hmac.new(hook["secret"].encode(), raw, "sha256").hexdigest()
        headers = {**STRANGER, "Content-Encoding": "gzip", "X-Hub-Signature-256": f"sha256={signature}"}
        assert (await api.post(hook["path"], content=gzip.compress(raw), headers=headers)).status_code == 202
    plane.close()


async def test_a_log_that_does_not_answer_asks_the_sender_to_come_again(
    memory: MemoryPlane, api: httpx.AsyncClient
) -> None:
    hook = await make(api, template=TEMPLATE, signature="github")
    memory.log.fails = unavailable()
    answer = await send(api, hook, BODY)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    memory.log.fails = None
    assert (await send(api, hook, BODY)).json()["accepted"] == 1


async def test_a_saved_body_is_mapped_without_a_signature_and_put_nowhere(api: httpx.AsyncClient) -> None:
    await make(api, template=TEMPLATE + "\npayload: {by: '{{ headers[\"x-by\"] }}'}", signature="github")
    encoded = base64.b64encode(json.dumps(BODY).encode()).decode()
    answer = await api.post("/api/hooks/it/test", json={"body_base64": encoded, "headers": {"X-By": "me"}})
    (event,) = answer.json()["items"]
    assert (event["type"], event["id"], event["payload"]) == ("job.done", "r-1", {"by": "me"})
    bad = await api.post("/api/hooks/it/test", json={"body_base64": base64.b64encode(b"{}").decode()})
    assert bad.status_code == 422
    assert bad.json()["problems"]
    assert (await api.post("/api/hooks/it/test", json={"body_base64": "*"})).status_code == 422
    assert (await api.post("/api/hooks/other/test", json={"body_base64": encoded})).status_code == 404
    assert await events(api) == []


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[MemoryPlane]:
    """A plane that wants tokens."""
    made = MemoryPlane(tmp_path, auth_required=True)
    yield made
    made.close()


@pytest.fixture
async def stranger(locked: MemoryPlane) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody without a token."""
    async with in_process(locked) as client:
        yield client


async def test_where_tokens_are_wanted_a_delivery_needs_none_and_stays_in_its_workspace(
    locked: MemoryPlane, stranger: httpx.AsyncClient
) -> None:
    tokens = {name: (await locked.tokens.create("t", Role.ADMIN, workspace=name))[1] for name in ("acme", "other")}
    acme, other = ({"Authorization": f"Bearer {tokens[name]}"} for name in ("acme", "other"))
    wanted = {"name": "it", "template": TEMPLATE, "signature": "github"}
    made = (await stranger.post("/api/hooks", json=wanted, headers=acme)).json()
    assert made["workspace"] == "acme"
    assert (await send(stranger, made, BODY)).status_code == 202
    assert [e["id"] for e in (await stranger.get("/api/events", headers=acme)).json()["items"]] == ["r-1"]
    for path in ("/api/events", "/api/hooks"):
        assert (await stranger.get(path, headers=other)).json()["items"] == []
    assert (await stranger.get("/api/hooks/it", headers=other)).status_code == 404
    assert (await stranger.delete("/api/hooks/it", headers=other)).status_code == 404
    theirs = await stranger.post("/api/hooks", json={**wanted, "workspace": "acme"}, headers=other)
    assert theirs.status_code == 403
    assert (await stranger.post("/api/hooks", json=wanted, headers=other)).status_code == 201
    assert (await stranger.get("/api/hooks")).status_code == 401
