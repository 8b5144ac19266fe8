"""Tokens on the broker: shared by coordinators, gone at once when revoked, refused when nobody can tell."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.stores import two, until

from airside.coordinator.nats_server import EmbeddedServer
from airside.coordinator.token_store import BUCKET, TokenStore
from airside.coordinator.tokens import Role, TokensUnavailable
from airside.events.log import connect


@pytest.fixture
async def stores(nats_server: EmbeddedServer) -> AsyncIterator[tuple[TokenStore, TokenStore]]:
    """The token stores of two coordinators on one broker."""
    async with two(nats_server.url, TokenStore) as made:
        yield made


async def test_a_token_is_good_everywhere_and_its_revocation_too(stores: tuple[TokenStore, TokenStore]) -> None:
    here, there = stores
    token, text = await here.create("airflow", Role.INGEST)
    principal = here.check(text)
    assert principal is not None
    assert (principal.id, principal.role) == (token.id, Role.INGEST)
    await until(lambda: there.check(text))
    assert there.knows(token.id)
    assert await there.revoke(token.id)
    assert there.check(text) is None
    await until(lambda: here.check(text) is None)
    assert not here.still_valid(principal)
    assert not await here.revoke(token.id)


async def test_a_store_that_starts_later_knows_what_was_made_before(
    stores: tuple[TokenStore, TokenStore], nats_server: EmbeddedServer
) -> None:
    kept, kept_text = await stores[0].create("kept", Role.ADMIN, workspace="acme")
    gone, gone_text = await stores[0].create("gone", Role.VIEWER)
    await stores[0].revoke(gone.id)
    client = await connect(nats_server.url, name="later")
    later = TokenStore(client)
    await later.start()
    assert [token.id for token in await later.all()] == [kept.id]
    found = later.check(kept_text)
    assert found is not None
    assert found.workspace == "acme"
    assert later.check(gone_text) is None
    await later.stop()
    await client.close()


async def test_only_a_hash_of_the_secret_is_kept(
    stores: tuple[TokenStore, TokenStore], nats_server: EmbeddedServer
) -> None:
    token, text = await stores[0].create("t", Role.VIEWER)
    secret = text.rpartition("_")[2]
    client = await connect(nats_server.url, name="look")
    entry = await (await client.jetstream().key_value(BUCKET)).get(token.id)
    assert entry.value is not None
    assert secret.encode() not in entry.value
    assert token.sha256.encode() in entry.value
    await client.close()
    for path in nats_server.folder.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path


async def test_an_expired_token_is_nobodys(stores: tuple[TokenStore, TokenStore]) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=3)
    _, text = await stores[0].create("brief", Role.VIEWER, expires=soon)
    principal = stores[0].check(text)
    assert principal is not None
    await until(lambda: stores[0].check(text) is None)
    assert not stores[0].still_valid(principal)


async def test_an_entry_that_cannot_be_read_lets_nobody_in_and_stops_nothing(
    stores: tuple[TokenStore, TokenStore], nats_server: EmbeddedServer
) -> None:
    broken, broken_text = await stores[0].create("broken", Role.ADMIN)
    client = await connect(nats_server.url, name="vandal")
    await (await client.jetstream().key_value(BUCKET)).put(broken.id, b"{")
    await until(lambda: stores[1].check(broken_text) is None and stores[0].check(broken_text) is None)
    _, text = await stores[0].create("good", Role.VIEWER)
    await until(lambda: stores[1].check(text))
    await client.close()


async def test_tokens_are_still_known_after_the_broker_came_back(
    stores: tuple[TokenStore, TokenStore], nats_server: EmbeddedServer
) -> None:
    _, text = await stores[0].create("t", Role.VIEWER)
    port = int(nats_server.address.rpartition(":")[2])
    nats_server.stop()
    assert stores[0].check(text) is not None
    nats_server.port = port
    await asyncio.to_thread(nats_server.start)
    async with asyncio.timeout(60):
        while True:
            try:
                token, fresh = await stores[0].create("after", Role.VIEWER)
                break
            except TokensUnavailable:
                await asyncio.sleep(0.1)
    async with asyncio.timeout(60):
        while stores[1].check(fresh) is None:
            await asyncio.sleep(0.05)
    await stores[1].revoke(token.id)
    async with asyncio.timeout(60):
        while stores[0].check(fresh) is not None:
            await asyncio.sleep(0.05)
