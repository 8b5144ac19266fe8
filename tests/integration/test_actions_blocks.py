"""`block:NAME` in rules: looked up on a real broker when an action is carried out, and never told."""

import dataclasses
import hmac
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.actions import SECRET as SIGNING
from tests.support.actions import attempt_of, settings
from tests.support.receiver import Receiver, http, receiver

from airside.coordinator.actions.exceptions import ActionRefused, ActionRetry
from airside.coordinator.actions.kinds import ActionContext
from airside.coordinator.actions.registry import KINDS
from airside.coordinator.blocks.keys import KeySource
from airside.coordinator.blocks.store import BlockStore
from airside.coordinator.coordinator import Coordinator
from airside.events import blocks
from airside.events.log import Log

CANARY = "CanaryInAction-4711"
# Apprise's own imports
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
FIRING = {"id": "f00d", "automation": "late", "reason": "no table.updated", "revision": 1, "outcome": "triggered"}


@pytest.fixture
async def store(log: Log, tmp_path: Path) -> BlockStore:
    made = BlockStore(log.nc, KeySource(tmp_path / "blocks.key"))
    await made.start()
    return made


@pytest.fixture
async def target() -> AsyncIterator[Receiver]:
    async with receiver() as found:
        yield found


async def keep(store: BlockStore, name: str, kind: str, **fields: Any) -> None:
    await store.set("default", name, kind, blocks.parse(kind, fields), by="maria")


def attempt(store: BlockStore | None, kind: str, parameters: Mapping[str, Any]) -> ActionContext:
    context = attempt_of(kind, parameters, settings(), FIRING)
    return dataclasses.replace(context, tools=dataclasses.replace(context.tools, blocks=store))


async def run(store: BlockStore | None, kind: str, **parameters: Any) -> dict[str, Any]:
    return await KINDS[kind].run(attempt(store, kind, parameters))


async def test_a_webhook_goes_where_a_block_says_with_its_headers_and_its_signature(
    store: BlockStore, target: Receiver
) -> None:
    url = f"{target.url}/{CANARY}"
    await keep(store, "oncall", "webhook", url=url, headers={"X-Api-Key": CANARY}, secret=SIGNING)
    result = await run(store, "webhook", url="block:oncall", body="late", headers={"X-Who": "airside"})
    request = target.received[0]
    assert (request.path, request.headers["x-api-key"], request.headers["x-who"]) == (f"/{CANARY}", CANARY, "airside")
    content = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.late".encode()
    key = b64decode(SIGNING.removeprefix("whsec_"))
    expected = f"v1,{b64encode(hmac.new(key, content, sha256).digest()).decode()}"
    assert request.headers["webhook-signature"] == expected
    assert (result["status"], CANARY in str(result)) == (200, False)


async def test_headers_and_secrets_are_blocks_of_their_own_where_a_rule_says_so(
    store: BlockStore, target: Receiver
) -> None:
    await keep(store, "place", "secret", value=f"{target.url}/hook")
    await keep(store, "key", "secret", value=CANARY)
    await keep(store, "signing", "secret", value=SIGNING)
    await run(store, "webhook", url="block:place", headers={"X-Key": "block:key.value"}, secret="block:signing")
    request = target.received[0]
    assert request.headers["x-key"] == CANARY
    assert request.headers["webhook-signature"].startswith("v1,")


async def test_what_a_receiver_echoes_is_not_told(store: BlockStore, target: Receiver) -> None:
    target.answers = [http(400, f"I know your key {CANARY}".encode()), http(503, f"later, {CANARY}".encode())]
    await keep(store, "oncall", "webhook", url=f"{target.url}/x", headers={"X-Api-Key": CANARY})
    with pytest.raises(ActionRefused, match=r"answered 400: I know your key \*\*\*") as caught:
        await run(store, "webhook", url="block:oncall")
    assert caught.value.__cause__ is None
    with pytest.raises(ActionRetry, match=r"later, \*\*\*"):
        await run(store, "webhook", url="block:oncall")


@pytest.mark.parametrize(
    ("kind", "parameters", "said"),
    [
        ("webhook", {"url": "block:none"}, "there is no block `none`: `airside blocks set none -t webhook url=-`"),
        ("webhook", {"url": "block:git"}, "is of type git; here it must be of type webhook or secret"),
        ("webhook", {"url": "block:plain", "secret": "block:plain"}, "the block `plain` has no field `secret`"),
        ("webhook", {"url": "block:plain", "headers": {"X": "block:git"}}, "here it must be of type secret"),
        ("notify", {"to": "block:none", "title": "x"}, "there is no block `none`: `airside blocks set none -t notify"),
        ("notify", {"to": "block:git", "title": "x"}, "is of type git; here it must be of type notify or secret"),
    ],
)
async def test_what_a_block_does_not_serve_for_is_refused(
    store: BlockStore, kind: str, parameters: dict[str, Any], said: str
) -> None:
    await keep(store, "git", "git", token=CANARY)
    await keep(store, "plain", "webhook", url="https://127.0.0.1:9/x")
    with pytest.raises(ActionRefused) as caught:
        await run(store, kind, **parameters)
    assert said in str(caught.value)
    assert CANARY not in str(caught.value)


async def test_a_block_of_another_workspace_is_none(store: BlockStore, target: Receiver) -> None:
    await store.set("other", "oncall", "webhook", blocks.parse("webhook", {"url": target.url}), by="x")
    with pytest.raises(ActionRefused, match="there is no block"):
        await run(store, "webhook", url="block:oncall")


async def test_a_person_is_told_through_a_block(store: BlockStore, target: Receiver) -> None:
    pytest.importorskip("apprise")
    where = target.url.replace("http://", "json://")
    await keep(store, "oncall", "notify", url=f"{where}/{CANARY}/a {where}/{CANARY}/b")
    result = await run(store, "notify", to="block:oncall", title="sales are late", body="by an hour")
    assert result == {"to": "block:oncall", "delivered": 2}
    assert sorted(request.path for request in target.received) == [f"/{CANARY}/a", f"/{CANARY}/b"]
    assert b"sales are late" in target.received[0].body


@pytest.mark.parametrize(
    ("kind", "parameters", "field", "message"),
    [
        ("notify", {"to": "block:On Call"}, "to", "must be `block:NAME`"),
        ("notify", {"to": "block:oncall.token"}, "to", "no field `token` is taken here"),
        ("webhook", {"url": "block:a.headers"}, "url", "write `block:a`"),
        ("webhook", {"url": "block:a", "secret": "block:"}, "secret", "must be `block:NAME`"),
        ("webhook", {"url": "https://h/x", "headers": {"X": "block:a"}}, "headers.X", "name one as `url` too"),
        ("webhook", {"url": "block:a", "headers": {"X": "block:b.token"}}, "headers.X", "no field `token`"),
    ],
)
def test_lint_finds_what_names_no_block(kind: str, parameters: dict[str, Any], field: str, message: str) -> None:
    found = dict(KINDS[kind].problems(parameters))
    assert message in found[field]


def test_lint_takes_blocks_and_suspects_none() -> None:
    good = {"url": "block:a.url", "secret": "block:b.value", "headers": {"Authorization": "block:c"}}
    assert list(KINDS["webhook"].problems(good)) == []
    assert list(KINDS["webhook"].suspicions(good)) == []  # type: ignore[attr-defined]
    assert list(KINDS["notify"].problems({"to": "block:a"})) == []


RULES = """
automations:
  - name: told
    trigger: {match: {type: table.updated}}
    actions:
      - notify: {to: "block:gone", title: x}
      - webhook: {url: "block:place"}
      - webhook: {url: "block:place", secret: "block:token"}
"""


async def test_who_applies_a_rule_is_warned_of_blocks_that_are_missing(
    plane: tuple[Coordinator, httpx.AsyncClient],
) -> None:
    _, client = plane
    for name, body in (
        ("place", {"type": "webhook", "fields": {"url": "https://h/x"}}),
        ("token", {"type": "git", "fields": {"token": CANARY}}),
    ):
        assert (await client.put(f"/api/blocks/{name}", json=body)).status_code == 200
    headers = {"content-type": "application/yaml"}
    applied = (await client.post("/api/automations", content=RULES, headers=headers)).json()
    said = {entry["path"]: entry["message"] for entry in applied["warnings"] if "block" in entry["message"]}
    assert set(said) == {"actions.0.notify", "actions.2.webhook"}
    assert "there is no block `gone`" in said["actions.0.notify"]
    assert "is of type git" in said["actions.2.webhook"]
