"""Who gets in: nobody without a token where tokens are wanted, nobody from elsewhere where they are not."""

import logging
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from starlette.routing import BaseRoute
from tests.support.api_plane import MemoryPlane
from tests.support.api_samples import event
from tests.support.api_server import ADDRESS, in_process

from airside.coordinator.api import create_app, routing
from airside.coordinator.api.attempts import FailedAttempts
from airside.coordinator.api.gate import is_local_host, is_same_origin
from airside.coordinator.api.permissions import PUBLIC_ROUTES, ROLES
from airside.coordinator.tokens import Role

pytest_plugins = ["tests.support.api_fixtures"]


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[MemoryPlane]:
    """A plane that wants tokens."""
    made = MemoryPlane(tmp_path, auth_required=True, max_failed_logins=3)
    yield made
    made.close()


@pytest.fixture
async def stranger(locked: MemoryPlane) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody without a token."""
    async with in_process(locked) as client:
        yield client


def concrete(template: str) -> str:
    """Give a path that the template matches."""
    return "/".join("x" if part.startswith("{") else part for part in template.split("/"))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_a_token_that_is_given_where_none_is_wanted_is_checked_and_held_to_its_role(tmp_path: Path) -> None:
    plane = MemoryPlane(tmp_path)
    _, agent = await plane.tokens.create("etl", Role.AGENT)
    _, viewer = await plane.tokens.create("screen", Role.VIEWER)
    body = {"name": "x", "role": "admin"}
    async with in_process(plane) as client:
        for token, read, made in ((agent, 403, 403), (viewer, 200, 403), (f"{viewer[:-1]}x", 401, 401)):
            assert (await client.get("/api/runs", headers=bearer(token))).status_code == read
            assert (await client.post("/api/tokens", json=body, headers=bearer(token))).status_code == made
            assert (await client.get("/health", headers=bearer(token))).status_code == 200
        assert (await client.get("/api/runs")).status_code == 200
        assert (await client.get("/api/runs", headers=bearer("another server's"))).status_code == 200
    plane.close()


async def test_every_route_wants_a_token_but_the_public_paths(locked: MemoryPlane) -> None:
    app = create_app(locked)
    async with in_process(locked) as client:
        for route in app.routes:
            for method in route.methods:
                answer = await client.request(method, concrete(route.path_format))
                answers = {"/health": 200, "/ready": 200, "/hooks/{slug}": 404, "/api/admin/version": 404}
                expected = answers.get(route.path_format, 401)
                assert answer.status_code == expected, (method, route.path_format)
                if expected == 401:
                    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "path",
    [
        "/api/automations/health",
        "/api/automations/ready",
        "/api/events/health",
        "/api/events/x/ready",
        "/api/resources/table://a/health",
        "/health/",
        "/health/x",
        "//health",
        "/health%2f..%2fapi%2fevents",
        "/HEALTH",
        "/ready;x",
        "/hooks",
        "/api/hooks/health",
        "/api/status?next=/health",
        "/docs",
        "/openapi.json",
        "/metrics",
        "/nothing-here",
    ],
)
async def test_a_path_that_looks_like_a_public_one_is_not(stranger: httpx.AsyncClient, path: str) -> None:
    assert (await stranger.get(path)).status_code == 401


async def test_each_role_gets_exactly_what_the_table_says(locked: MemoryPlane) -> None:
    async with in_process(locked) as client:
        for role in Role:
            _, token = await locked.tokens.create("t", role)
            for (method, template), allowed in ROLES.items():
                if template in PUBLIC_ROUTES or template == "/api/events/stream":
                    continue
                answer = await client.request(method, concrete(template), headers=bearer(token))
                assert (answer.status_code == 403) == (role not in allowed), (role, method, template)


def test_the_table_gives_no_role_more_than_its_work() -> None:
    by_role = {role: {route for route, allowed in ROLES.items() if role in allowed} for role in Role}
    assert {path for _, path in by_role[Role.INGEST]} - PUBLIC_ROUTES == {
        "/api/events",
        "/api/v1/lineage",
        "/api/v1/lineage/batch",
        "/api/runs/states",
        "/api/runs/{run_id}/states",
        "/api/runs/{run_id}/state",
        "/api/limits",
        "/api/limits/{name}/acquire",
        "/api/limits/{name}/renew",
        "/api/limits/{name}/release",
        "/api/logs",
    }
    assert {method for method, path in by_role[Role.VIEWER] if path not in {"/api/query", "/hooks/{slug}"}} <= {
        "GET",
        "HEAD",
    }
    assert by_role[Role.VIEWER] < by_role[Role.OPERATOR] < by_role[Role.EDITOR] < by_role[Role.ADMIN]
    assert by_role[Role.ADMIN] == set(ROLES)


def test_an_app_with_an_unlisted_route_does_not_start(memory: MemoryPlane) -> None:
    app = create_app(memory)
    with pytest.raises(LookupError, match="permissions differ"):
        routing.check_table(app.routes[1:])
    app.add_api_route("/open", lambda: None)
    with pytest.raises(LookupError, match="not guarded"):
        routing.check_table(app.routes)
    assert all(isinstance(route, BaseRoute) for route in app.routes)


async def test_wrong_expired_and_revoked_tokens_are_refused(locked: MemoryPlane, stranger: httpx.AsyncClient) -> None:
    token, text = await locked.tokens.create("t", Role.VIEWER)
    assert (await stranger.get("/api/events", headers=bearer(text))).status_code == 200
    past = datetime.now(UTC) - timedelta(seconds=1)
    _, expired = await locked.tokens.create("old", Role.VIEWER, expires=past)
    assert (await stranger.get("/api/events", headers=bearer(expired))).status_code == 401
    assert (await stranger.get("/api/events", headers=bearer(text[:-1] + "x"))).status_code == 401
    assert (await stranger.get("/api/events", headers={"Authorization": f"Basic {text}"})).status_code == 401
    twice = httpx.Headers([("Authorization", f"Bearer {text}"), ("Authorization", f"Bearer {text}")])
    assert (await stranger.get("/api/events", headers=twice)).status_code == 401
    await locked.tokens.revoke(token.id)
    assert (await stranger.get("/api/events", headers=bearer(text))).status_code == 401


async def test_guessing_is_slowed_down_and_shuts_out_nobody_else(
    locked: MemoryPlane, stranger: httpx.AsyncClient
) -> None:
    token, text = await locked.tokens.create("t", Role.VIEWER)
    _, other = await locked.tokens.create("u", Role.VIEWER)
    wrong = f"ast_{token.id}_{'0' * 64}"
    statuses = [(await stranger.get("/api/events", headers=bearer(wrong))).status_code for _ in range(4)]
    assert statuses == [401, 401, 401, 429]
    blocked = await stranger.get("/api/events", headers=bearer(text))
    assert blocked.status_code == 429
    assert 1 <= int(blocked.headers["retry-after"]) <= 60
    assert (await stranger.get("/api/events", headers=bearer(other))).status_code == 200
    unknown = [
        (await stranger.get("/api/events", headers=bearer(f"ast_{n:016x}_{'0' * 64}"))).status_code for n in range(4)
    ]
    assert unknown == [401, 401, 401, 429]


def test_failures_are_forgotten_after_a_minute() -> None:
    now = 0.0
    attempts = FailedAttempts(2, clock=lambda: now)
    attempts.failed(("1.2.3.4", ""))
    assert attempts.seconds_to_wait(("1.2.3.4", "")) == 0
    now = 30.0
    attempts.failed(("1.2.3.4", ""))
    assert attempts.seconds_to_wait(("1.2.3.4", "")) == 30
    assert attempts.seconds_to_wait(("1.2.3.5", "")) == 0
    now = 60.0
    assert attempts.seconds_to_wait(("1.2.3.4", "")) == 0


async def test_events_carry_the_tokens_workspace(locked: MemoryPlane, stranger: httpx.AsyncClient) -> None:
    _, ours = await locked.tokens.create("t", Role.EDITOR, workspace="acme")
    _, theirs = await locked.tokens.create("t", Role.EDITOR)
    await stranger.post("/api/events", json=event(), headers=bearer(ours))
    assert locked.log.entries[0].event.workspace == "acme"
    assert (await stranger.get("/api/events/event-1", headers=bearer(ours))).status_code == 200
    for path in ("/api/events/event-1", "/api/resources/table://warehouse/sales"):
        assert (await stranger.get(path, headers=bearer(theirs))).status_code == 404
    assert (await stranger.get("/api/events", headers=bearer(theirs))).json()["items"] == []
    assert (await stranger.get("/api/events/export", headers=bearer(theirs))).content == b""
    refused = await stranger.post("/api/events", json=event(2, workspace="acme"), headers=bearer(theirs))
    assert refused.status_code == 422
    for method, path in (
        ("POST", "/api/automations/x/enable"),
        ("DELETE", "/api/automations/x"),
    ):
        answer = await stranger.request(method, path, json={"sql": "SELECT 1"}, headers=bearer(ours))
        assert answer.status_code == 403, path


async def test_tokens_are_made_listed_and_revoked_over_http(locked: MemoryPlane, stranger: httpx.AsyncClient) -> None:
    _, admin = await locked.tokens.create("root", Role.ADMIN)
    body = {"name": "airflow", "role": "ingest", "expires": "2099-01-01T00:00:00Z"}
    made = (await stranger.post("/api/tokens", json=body, headers=bearer(admin))).json()
    assert made["token"].startswith(f"ast_{made['id']}_")
    assert made["expires"] == "2099-01-01T00:00:00Z"
    assert (await stranger.post("/api/events", json=event(), headers=bearer(made["token"]))).status_code == 202
    listed = (await stranger.get("/api/tokens", headers=bearer(admin))).text
    assert made["id"] in listed
    assert made["token"].rpartition("_")[2] not in listed
    assert "sha256" not in listed
    assert (await stranger.delete(f"/api/tokens/{made['id']}", headers=bearer(admin))).status_code == 204
    assert (await stranger.delete(f"/api/tokens/{made['id']}", headers=bearer(admin))).status_code == 404
    assert (await stranger.post("/api/events", json=event(2), headers=bearer(made["token"]))).status_code == 401


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "", "role": "viewer"}, "name"),
        ({"name": "x", "role": "owner"}, "role"),
        ({"name": "x", "role": "viewer", "expires": "2020-01-01T00:00:00Z"}, "expires"),
        ({"name": "x", "role": "viewer", "expires": "2099-01-01T00:00:00"}, "expires"),
        ({"name": "x", "role": "viewer", "scope": "all"}, "scope"),
    ],
)
async def test_a_bad_token_request_is_refused(api: httpx.AsyncClient, body: dict[str, str], field: str) -> None:
    answer = await api.post("/api/tokens", json=body)
    assert answer.status_code == 422
    assert answer.json()["problems"][0]["field"] == field


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:7700", "127.0.0.1:7700", "127.8.8.8", "[::1]:7700", "::1"])
async def test_without_tokens_loopbacks_names_are_answered(api: httpx.AsyncClient, host: str) -> None:
    assert (await api.get("/api/status", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "10.0.0.1",
        "evil@localhost",
        "0.0.0.0",
        "",
        "[::1%evil.com]",
        "::1%lo",
    ],
)
async def test_without_tokens_a_rebound_name_is_not_answered(api: httpx.AsyncClient, host: str) -> None:
    for path in ("/api/status", "/health", "/"):
        assert (await api.get(path, headers={"Host": host})).status_code == 421


def test_names_can_be_allowed_beside_loopbacks() -> None:
    assert is_local_host("airside.lan:80", ("Airside.LAN",))
    assert not is_local_host("airside.lan", ("airside",))


async def test_pages_of_another_origin_change_nothing(api: httpx.AsyncClient, memory: MemoryPlane) -> None:
    for origin in ("https://evil.example", "null", "http://127.0.0.1:7701", "http://localhost:7700"):
        answer = await api.post("/api/events", json=event(), headers={"Origin": origin})
        assert answer.status_code == 403, origin
    assert memory.log.entries == []
    assert (await api.post("/api/events", json=event(), headers={"Origin": ADDRESS})).status_code == 202
    assert is_same_origin(None, "localhost")
    assert not is_same_origin("", "")


@pytest.mark.parametrize("path", ["/", "/docs", "/api/events", "/nowhere", "/health", "/metrics", "/assets/plain.css"])
async def test_every_answer_carries_the_security_headers(api: httpx.AsyncClient, path: str) -> None:
    headers = (await api.get(path)).headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"


async def test_unknown_paths_and_methods_are_problem_documents(api: httpx.AsyncClient) -> None:
    unknown, wrong = await api.get("/api/nothing"), await api.patch("/api/events")
    for answer, status in ((unknown, 404), (wrong, 405)):
        assert answer.status_code == answer.json()["status"] == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert {"type", "title", "status", "detail", "instance"} <= answer.json().keys()
    assert wrong.headers["allow"] == "GET, OPTIONS, POST"


async def test_a_fault_of_our_own_tells_nothing_but_is_logged(
    api: httpx.AsyncClient, memory: MemoryPlane, caplog: pytest.LogCaptureFixture
) -> None:
    memory.log.fails = RuntimeError("the password is hunter2")
    with caplog.at_level(logging.ERROR, logger="airside.api"):
        answer = await api.get("/api/events/export")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "hunter2" not in answer.text
    assert "hunter2" in caplog.text
    assert "content-security-policy" in answer.headers
