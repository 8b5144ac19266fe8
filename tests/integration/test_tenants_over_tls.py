"""Off loopback, with TLS and tokens: who may write, and that one workspace sees nothing of another, by any route."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from airside.coordinator.api.permissions import PUBLIC_ROUTES, ROLES
from airside.coordinator.coordinator import Coordinator
from airside.coordinator.server import running
from airside.coordinator.settings import ServerSettings
from airside.coordinator.tokens import Role

TLS = Path(__file__).parent / "outbound_tls"
#: In everything that workspace A sends; it must be in nothing that B is told.
CANARY = "canary7f3"
RULE = f"""
automations:
  - name: {CANARY}-rule
    description: {CANARY}
    trigger: {{match: {{type: {CANARY}.happened}}, for_each: resource.id}}
    actions: [{{emit: {{type: {CANARY}.seen, resource: "{CANARY}://2"}}}}]
"""
EVENT = {
    "id": f"{CANARY}-event",
    "type": f"{CANARY}.happened",
    "source": f"{CANARY}://source",
    "resource": {"id": f"{CANARY}://1", "kind": CANARY, "name": CANARY, "labels": {CANARY: CANARY}},
    "related": [{"id": f"{CANARY}://run", "role": "run"}],
    "payload": {CANARY: CANARY},
}
LINEAGE = {
    "eventType": "START",
    "eventTime": "2026-11-22T10:00:00Z",
    "producer": "https://example.com/producer",
    "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
    "run": {"runId": "019aab3c-0000-7000-8000-000000000001"},
    "job": {"namespace": CANARY, "name": CANARY},
}
YAML = {"content-type": "application/yaml"}
TABLES = "SELECT table_schema || '.' || table_name AS name FROM information_schema.tables"


class Tenants:
    """A plane behind TLS on all addresses, and clients of it."""

    def __init__(self, coordinator: Coordinator, url: str) -> None:
        self._coordinator = coordinator
        self._url = url.replace("0.0.0.0", "127.0.0.1")
        self._context = ssl.create_default_context(cafile=str(TLS / "cert.pem"))
        self._context.check_hostname = False
        self.stack = contextlib.AsyncExitStack()

    async def client(self, role: Role | None, workspace: str = "default") -> httpx.AsyncClient:
        headers = {}
        if role is not None:
            _, text = await self._coordinator.tokens.create(f"{role}-{workspace}", role, workspace=workspace)
            headers["Authorization"] = f"Bearer {text}"
        client = httpx.AsyncClient(base_url=self._url, verify=self._context, headers=headers, timeout=60)
        return await self.stack.enter_async_context(client)


@pytest.fixture
async def tenants(tmp_path: Path) -> AsyncIterator[Tenants]:
    settings = ServerSettings(
        home=tmp_path / "home",
        host="0.0.0.0",
        port=0,
        tls_cert=TLS / "cert.pem",
        tls_key=TLS / "key.pem",
    )
    async with running(settings) as (coordinator, url):
        found = Tenants(coordinator, url)
        async with found.stack:
            yield found


async def until(client: httpx.AsyncClient, path: str, text: str) -> httpx.Response:
    async with asyncio.timeout(60):
        while text not in (answer := await client.get(path)).text:
            await asyncio.sleep(0.05)
    return answer


@pytest.fixture
async def firing(tenants: Tenants) -> str:
    """Let workspace A leave something in every view; gives the id of its firing."""
    admin = await tenants.client(Role.ADMIN)
    (await admin.post("/api/automations", content=RULE, headers=YAML)).raise_for_status()
    (await admin.post("/api/events", json=EVENT)).raise_for_status()
    (await admin.post("/api/v1/lineage", json=LINEAGE)).raise_for_status()
    await admin.post("/api/hooks", json={"name": f"{CANARY}-hook", "preset": "github"})
    (await admin.put(f"/api/limits/{CANARY}-rule", json={"slots": 1})).raise_for_status()
    block = {"type": "secret", "fields": {"value": CANARY}}
    (await admin.put(f"/api/blocks/{CANARY}-rule", json=block)).raise_for_status()
    deployment = {"name": f"{CANARY}-rule", "flow": f"{CANARY}-flow", "entrypoint": "flows.py:nightly"}
    (await admin.post("/api/deployments", json=deployment)).raise_for_status()
    await until(admin, "/api/events", f"{CANARY}.seen")
    await until(admin, "/api/runs", CANARY)
    return str((await until(admin, "/api/firings", CANARY)).json()["items"][0]["id"])


def bodies(method: str, path: str) -> dict[str, Any]:
    if path == "/api/automations/backtest":
        return {"content": RULE, "headers": YAML}
    if path.endswith("/why-not"):
        return {"params": {"key": f"resource.id={CANARY}://1"}}
    if path == "/api/query":
        return {"json": {"sql": "SELECT * FROM events"}}
    if path == "/api/hooks/{name}/test":
        return {"json": {"body_base64": "e30="}}
    if path.startswith("/api/limits/{name}/"):
        return {"json": {"lease": f"{CANARY}-lease"}}
    return {"json": {}} if method in ("POST", "PUT") else {}


def filled(path: str, firing: str) -> list[str]:
    """Name everything of A's that a path could be about."""
    values = {
        "{event_id}": [f"{CANARY}-event"],
        "{resource_id}": [f"{CANARY}://1", f"job://{CANARY}/{CANARY}"],
        "{run_id}": [LINEAGE["run"]["runId"], f"run://openlineage/{LINEAGE['run']['runId']}"],  # type: ignore[index]
        "{firing_id}": [firing],
        "{name}": [f"{CANARY}-rule", f"{CANARY}-hook"],
        "{slug}": [f"{CANARY}-hook"],
        "{token_id}": ["x"],
    }
    path = path.replace("{flow}", f"{CANARY}-flow")
    for name, found in values.items():
        if name in path:
            return [path.replace(name, quote(value, safe="")) for value in found]
    return [path]


#: Refused for its empty body whoever asks, and a run that is not known has no log lines.
TAKES_ANY_NAME = ("/api/runs/{run_id}/states",)


async def test_no_route_tells_one_workspace_of_another(tenants: Tenants, firing: str) -> None:
    stranger = await tenants.client(Role.ADMIN, "other")
    told: list[str] = []
    for method, template in sorted(ROLES):
        if template in PUBLIC_ROUTES or template == "/api/events/stream":
            continue
        for path in filled(template, firing):
            answer = await stranger.request(method, path, **bodies(method, template))
            if template in TAKES_ANY_NAME or method == "PUT":
                assert answer.status_code == 422 or answer.json() == {"items": [], "next": None}, (method, path)
            elif template.startswith("/api/queues/{name}"):  # queues of any name are there, empty
                assert CANARY not in answer.text.replace(f"{CANARY}-rule", "").replace(f"{CANARY}-hook", ""), path
            elif template != path:
                assert answer.status_code in (403, 404), (method, path, answer.status_code, answer.text[:300])
            elif CANARY in answer.text and template != "/api/automations/backtest":  # which repeats the rule
                told.append(f"{method} {path}: {answer.text[:300]}")
    assert told == []


async def test_the_owner_is_told_by_the_routes_that_tell_others_nothing(tenants: Tenants, firing: str) -> None:
    owner = await tenants.client(Role.ADMIN)
    for method, template in sorted(ROLES):
        if method == "GET" and "{" in template and template != "/api/runs/{run_id}/state":  # of own flow runs alone
            answers = [await owner.get(path, **bodies(method, template)) for path in filled(template, firing)]
            assert any(answer.status_code == 200 for answer in answers), (template, answers[0].text[:300])


async def test_a_backtest_reads_the_events_of_its_own_workspace_alone(tenants: Tenants, firing: str) -> None:
    stranger = await tenants.client(Role.ADMIN, "other")
    owner = await tenants.client(Role.OPERATOR)
    mine = await owner.post("/api/automations/backtest", content=RULE, headers=YAML)
    theirs = await stranger.post("/api/automations/backtest", content=RULE, headers=YAML)
    assert f"{CANARY}-event" in mine.text
    assert f"{CANARY}-event" not in theirs.text


async def test_no_table_shows_one_workspace_to_another(tenants: Tenants, firing: str) -> None:
    stranger = await tenants.client(Role.VIEWER, "other")
    owner = await tenants.client(Role.VIEWER)

    async def rows(client: httpx.AsyncClient, sql: str) -> str:
        return (await client.post("/api/query", json={"sql": sql})).text

    async with asyncio.timeout(60):
        while CANARY not in await rows(owner, "SELECT * FROM events"):
            await asyncio.sleep(0.1)
    names = [row[0] for row in (await owner.post("/api/query", json={"sql": TABLES})).json()["rows"]]
    assert len(names) >= 4
    for name in names:
        assert CANARY not in await rows(stranger, f"SELECT * FROM {name}"), name


async def test_a_stream_from_the_beginning_carries_its_own_workspace_alone(tenants: Tenants, firing: str) -> None:
    stranger = await tenants.client(Role.INGEST, "other")
    viewer = await tenants.client(Role.VIEWER, "other")
    (await stranger.post("/api/events", json={"id": "own", "type": "a.b", "resource": "x://1"})).raise_for_status()
    seen = ""
    async with asyncio.timeout(60), viewer.stream("GET", "/api/events/stream?after=0") as answer:
        async for text in answer.aiter_text():
            seen += text
            if '"own"' in seen:
                break
    assert CANARY not in seen


async def test_the_same_id_in_two_workspaces_is_two_events(tenants: Tenants, firing: str) -> None:
    stranger = await tenants.client(Role.ADMIN, "other")
    taken = await stranger.post("/api/events", json={**EVENT, "payload": {}})
    assert taken.json()["accepted"] == 1
    await until(stranger, "/api/events", f"{CANARY}-event")
    firings = (await stranger.get("/api/firings")).json()["items"]
    assert firings == [], "A's rule looks at A's events alone"


@pytest.mark.parametrize("role", [Role.VIEWER, Role.INGEST, None])
async def test_a_role_does_over_tls_what_the_table_says_and_nothing_else(
    tenants: Tenants, firing: str, role: Role | None
) -> None:
    client = await tenants.client(role)
    for (method, template), allowed in sorted(ROLES.items()):
        if template in PUBLIC_ROUTES or template == "/api/events/stream":
            continue
        for path in filled(template, firing):
            answer = await client.request(method, path, **bodies(method, template))
            if role is None:
                assert answer.status_code == 401, (method, path)
            else:
                assert (answer.status_code == 403) == (role not in allowed), (method, path, answer.text[:200])
    admin = await tenants.client(Role.ADMIN)
    assert (await admin.get(f"/api/automations/{CANARY}-rule")).json()["enabled"]


async def test_without_tls_nothing_is_answered_off_loopback(tenants: Tenants, firing: str) -> None:
    plain = (await tenants.client(None)).base_url.copy_with(scheme="http")
    with pytest.raises(httpx.TransportError):
        httpx.get(plain.join("/health"), timeout=5)
    with pytest.raises(ValueError, match="tls-cert"):
        ServerSettings(host="0.0.0.0")
