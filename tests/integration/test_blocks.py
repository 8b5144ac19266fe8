"""Blocks on a real broker: who may do what by HTTP, what the log is told, what a key that is missing means."""

import asyncio
import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from airside.coordinator.blocks import store as stores
from airside.coordinator.blocks.book import BlocksLocked, BlocksUnavailable, NoSuchBlock, StoredBlock, TooManyBlocks
from airside.coordinator.blocks.book import key_of as key
from airside.coordinator.blocks.keys import KeySource
from airside.coordinator.blocks.store import BUCKET, BlockStore
from airside.coordinator.coordinator import Coordinator
from airside.coordinator.tokens import Role
from airside.events.blocks import parse
from airside.events.log import Log
from airside.sdk import Block, Secret
from airside.sdk.exceptions import NotFound, Refused, Unauthorised
from airside.sdk.settings import ClientSettings

CANARY = "CanaryOnTheBroker-4711"
GIT = {"type": "git", "fields": {"username": "me", "token": CANARY}, "description": "for flows"}
Plane = tuple[Coordinator, httpx.AsyncClient]


@pytest.fixture
async def store(log: Log, tmp_path: Path) -> BlockStore:
    return await opened(log, tmp_path / "blocks.key")


async def opened(log: Log, file: Path, text: str = "") -> BlockStore:
    made = BlockStore(log.nc, KeySource(file, text))
    await made.start()
    return made


async def keep(store: BlockStore, name: str = "code", token: str = CANARY, workspace: str = "default") -> StoredBlock:
    return await store.set(workspace, name, "git", parse("git", {"username": "me", "token": token}), by="maria")


async def told(client: httpx.AsyncClient, event_type: str) -> list[dict[str, Any]]:
    """Give the events of this type once the views have the whole log."""
    async with asyncio.timeout(20):
        while (await client.get("/api/status")).json()["views"]["lag"]:
            await asyncio.sleep(0.02)
    return list(reversed((await client.get("/api/events", params={"type": event_type})).json()["items"]))


async def test_a_block_is_set_shown_opened_changed_and_removed_and_the_log_tells_who_did(plane: Plane) -> None:
    _, client = plane
    made = await client.put("/api/blocks/code", json=GIT)
    assert made.status_code == 200
    shown = (await client.get("/api/blocks/code")).json()
    assert shown == made.json() == (await client.get("/api/blocks")).json()["items"][0]
    assert (shown["fields"], shown["secrets"]) == ({"username": "me"}, {"token": "set"})
    assert (shown["revision"], shown["by"], shown["description"]) == (1, "local", "for flows")
    opened = (await client.post("/api/blocks/code/reveal")).json()
    assert (opened["fields"], opened["secrets"]) == ({"username": "me", "token": CANARY}, ["token"])
    await client.put("/api/blocks/code", json={"type": "git", "fields": {"token": f"{CANARY}-2"}})
    changed = (await client.post("/api/blocks/code/reveal")).json()
    assert (changed["fields"], changed["revision"]) == ({"token": f"{CANARY}-2"}, 2)
    assert (await client.delete("/api/blocks/code")).status_code == 204
    assert [(await client.request(*ask)).status_code for ask in ASKED] == [404, 404, 404]
    assert (await client.get("/api/blocks")).json() == {"items": [], "next": None}
    events = await told(client, "audit.>")
    assert [event["type"].partition("_")[2] for event in events] == [
        "created",
        "revealed",
        "updated",
        "revealed",
        "deleted",
    ]
    assert {(event["resource"]["id"], event["payload"]["by"]) for event in events} == {("block://code", "local")}
    assert CANARY not in json.dumps([events, shown, made.json()])


ASKED = (("GET", "/api/blocks/code"), ("DELETE", "/api/blocks/code"), ("POST", "/api/blocks/code/reveal"))


async def test_each_role_does_with_blocks_what_it_is_for_and_a_workspace_has_its_own(plane: Plane) -> None:
    coordinator, client = plane
    await client.put("/api/blocks/code", json=GIT)
    for role in Role:
        token, text = await coordinator.tokens.create(f"the {role}", role)
        headers = {"Authorization": f"Bearer {text}"}
        asked = {
            "show": await client.get("/api/blocks/code", headers=headers),
            "set": await client.put("/api/blocks/code", json=GIT, headers=headers),
            "reveal": await client.post("/api/blocks/code/reveal", headers=headers),
        }
        allowed = {name for name, answer in asked.items() if answer.status_code == 200}
        assert allowed == {
            Role.ADMIN: {"show", "set", "reveal"},
            Role.AGENT: {"reveal"},
            Role.INGEST: set(),
        }.get(role, {"show"})
        assert CANARY not in asked["show"].text
        if role is Role.AGENT:
            payload = (await told(client, "audit.block_revealed"))[-1]["payload"]
            assert (payload["by"], payload["role"], payload["token"]) == ("the agent", "agent", token.id)
            assert payload.keys() == {"name", "type", "revision", "by", "role", "token"}
    _, text = await coordinator.tokens.create("other", Role.ADMIN, workspace="other")
    headers = {"Authorization": f"Bearer {text}"}
    assert (await client.get("/api/blocks", headers=headers)).json()["items"] == []
    assert (await client.post("/api/blocks/code/reveal", headers=headers)).status_code == 404


@pytest.mark.parametrize(
    ("name", "body", "field"),
    [
        ("Code", GIT, "name"),
        ("types", GIT, "name"),
        ("a.b", GIT, "name"),
        ("code", {"type": "gti", "fields": {"token": CANARY}}, "type"),
        ("code", {"type": "git", "fields": {"token": [CANARY]}}, "fields.token"),
        ("code", {"type": "git", "fields": {"tokne": CANARY}}, "fields.tokne"),
        ("code", {"type": "git", "fields": CANARY}, "fields"),
        ("code", {"type": "git", "fields": {"token": "x"}, "word": CANARY}, "word"),
        ("code", {"fields": {"token": CANARY}}, "type"),
    ],
)
async def test_what_is_refused_is_named_and_not_repeated(
    plane: Plane, name: str, body: dict[str, Any], field: str
) -> None:
    _, client = plane
    answer = await client.put(f"/api/blocks/{name}", json=body)
    assert answer.status_code == 422
    assert field in {problem["field"] for problem in answer.json()["problems"]}
    assert CANARY not in answer.text


async def test_programs_load_blocks_with_their_secrets_wrapped(plane: Plane) -> None:
    coordinator, client = plane
    settings = {}
    for role in (Role.AGENT, Role.EDITOR):
        _, text = await coordinator.tokens.create("run", role)
        settings[role] = ClientSettings(url=str(client.base_url), token=text)
    hook = {"url": f"https://h/{CANARY}", "headers": {"X-Key": CANARY}}
    await client.put("/api/blocks/pager", json={"type": "webhook", "fields": hook})

    await client.put("/api/blocks/tables", json={"type": "json", "fields": {"value": ["a"]}})
    block = await Block.aload("pager", settings=settings[Role.AGENT])
    assert (block.name, block.type, block.revision, set(block)) == ("pager", "webhook", 1, {"url", "headers"})
    assert block["headers"] == {"X-Key": Secret(CANARY)}
    assert CANARY not in f"{block!r} {dict(block)!r} {block.fields!r}"
    assert (await Block.aload("block:tables", settings=settings[Role.AGENT]))["value"] == ["a"]
    with pytest.raises(NotFound, match="there is no block `none`"):
        await Block.aload("none", settings=settings[Role.AGENT])
    with pytest.raises(Unauthorised, match="roles admin, agent"):
        await Block.aload("pager", settings=settings[Role.EDITOR])


async def test_what_the_broker_keeps_is_sealed(log: Log, store: BlockStore) -> None:
    await keep(store)
    bucket = await log.nc.jetstream().key_value(BUCKET)
    kept = (await bucket.get(key("default", "code"))).value or b""
    assert b"me" in kept
    assert CANARY.encode() not in kept
    assert b64encode(CANARY.encode())[:-4] not in kept


async def test_what_was_exchanged_on_the_broker_is_not_opened(log: Log, store: BlockStore) -> None:
    await keep(store, "code")
    await keep(store, "other", "another-token")
    bucket = await log.nc.jetstream().key_value(BUCKET)
    kept = (await bucket.get(key("default", "code"))).value or b""
    await bucket.put(key("default", "other"), kept)
    with pytest.raises(BlocksLocked, match="it is another's"):
        await store.open("default", "other")
    changed = msgspec.structs.replace(msgspec.json.decode(kept, type=StoredBlock), plain={"username": "you"})
    await bucket.put(key("default", "code"), msgspec.json.encode(changed))
    with pytest.raises(BlocksLocked, match="its seal is broken"):
        await store.open("default", "code")
    await bucket.put(key("default", "code"), b"{}")
    with pytest.raises(BlocksLocked, match="cannot be read by this version"):
        await store.find("default", "code")


async def test_coordinators_with_one_key_share_blocks_and_one_with_another_says_which_is_missing(
    log: Log, store: BlockStore, tmp_path: Path
) -> None:
    made = await keep(store)
    text = (tmp_path / "blocks.key").read_text()
    same = await opened(log, tmp_path / "none", text)
    assert (await same.open("default", "code")).fields["token"] == CANARY
    for stranger in (
        await opened(log, tmp_path / "none"),
        await opened(log, tmp_path / "none", b64encode(b"x" * 32).decode()),
    ):
        with pytest.raises(BlocksLocked, match=f"sealed with the key {made.key}.*AIRSIDE_BLOCKS_KEY"):
            await stranger.open("default", "code")
        with pytest.raises(BlocksLocked, match="give all coordinators the same AIRSIDE_BLOCKS_KEY"):
            await keep(stranger, "mine")
        assert [each.name for each in await stranger.all("default")] == ["code"]
    assert not (tmp_path / "none").exists()
    both = await opened(log, tmp_path / "none", f"{b64encode(b'x' * 32).decode()} {text}")
    await keep(both)
    with pytest.raises(BlocksLocked):
        await store.open("default", "code")


async def test_a_key_that_does_not_open_is_a_refusal_by_http_and_not_a_failure(plane: Plane) -> None:
    coordinator, client = plane
    await client.put("/api/blocks/code", json=GIT)
    coordinator.home.blocks_key.rename(coordinator.home.path / "lost.key")
    answer = await client.post("/api/blocks/code/reveal")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:airside:problem:blocks-locked")
    assert "this server has none" in answer.json()["detail"]
    settings = ClientSettings(url=str(client.base_url))
    with pytest.raises(Refused, match="cannot be opened"):
        await Block.aload("code", settings=settings)
    assert await told(client, "audit.block_revealed") == []
    assert (await client.put("/api/blocks/more", json=GIT)).status_code == 409
    plain = {"type": "json", "fields": {"value": 1}}
    assert (await client.put("/api/blocks/plain", json=plain)).status_code == 200


async def test_all_who_change_one_block_at_once_have_their_turn(log: Log, store: BlockStore, tmp_path: Path) -> None:
    await keep(store)
    other = await opened(log, tmp_path / "blocks.key")
    made = await asyncio.gather(*(keep(one, token=f"{CANARY}-{n}") for n, one in enumerate([store, other] * 2)))
    assert sorted(each.revision for each in made) == [2, 3, 4, 5]
    last = max(range(4), key=lambda n: made[n].revision)
    assert (await store.open("default", "code")).fields["token"] == f"{CANARY}-{last}"


async def test_workspaces_and_names_do_not_meet_and_what_is_gone_may_come_again(store: BlockStore) -> None:
    await keep(store, "code")
    await keep(store, "code", "theirs", workspace="other")
    assert (await store.open("other", "code")).fields["token"] == "theirs"
    await store.delete("default", "code")
    with pytest.raises(NoSuchBlock):
        await store.find("default", "code")
    with pytest.raises(NoSuchBlock):
        await store.delete("default", "code")
    assert await store.all("default") == []
    assert (await keep(store, "code")).revision == 1
    assert [each.workspace for each in await store.all("other")] == ["other"]


async def test_there_are_so_many_and_no_more(store: BlockStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "MAX_BLOCKS", 2)
    for name in ("a", "b"):
        await keep(store, name)
    with pytest.raises(TooManyBlocks, match="remove those of no use"):
        await keep(store, "c")
    assert (await keep(store, "b")).revision == 2


async def test_a_broker_that_is_away_is_said_to_be(log: Log, store: BlockStore) -> None:
    await keep(store)
    await log.nc.close()
    for ask in (store.open("default", "code"), store.all("default"), keep(store)):
        with pytest.raises(BlocksUnavailable, match="Try again"):
            await ask
