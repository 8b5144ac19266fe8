"""Hooks on the broker: shared by coordinators, gone at once when removed, counted together."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from tests.support.stores import two, until

from airside.coordinator.hooks import book
from airside.coordinator.hooks.book import Counts, HookExists, HooksUnavailable
from airside.coordinator.hooks.store import BUCKET, HookStore
from airside.coordinator.nats_server import EmbeddedServer
from airside.events.log import connect

MOMENT = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


@pytest.fixture
async def stores(nats_server: EmbeddedServer) -> AsyncIterator[tuple[HookStore, HookStore]]:
    """The hook stores of two coordinators on one broker."""
    async with two(nats_server.url, HookStore) as made:
        yield made


async def test_a_hook_is_known_everywhere_at_once_and_its_removal_too(stores: tuple[HookStore, HookStore]) -> None:
    here, there = stores
    hook = book.make("shop", "github", preset="github", workspace="acme")
    await here.create(hook)
    assert here.find(hook.slug) == hook
    await until(lambda: there.find(hook.slug) == hook)
    assert there.all("acme") == [hook]
    assert there.all("default") == []
    with pytest.raises(HookExists):
        await there.create(book.make("shop", "stripe", preset="stripe", workspace="acme"))
    await there.create(book.make("shop", "stripe", preset="stripe"))
    assert await there.delete("acme", "shop")
    assert there.find(hook.slug) is None
    await until(lambda: here.find(hook.slug) is None)
    assert not await here.delete("acme", "shop")
    await here.create(book.make("shop", "github", preset="github", workspace="acme"))


async def test_of_two_hooks_of_one_name_made_at_the_same_time_one_is_refused(
    stores: tuple[HookStore, HookStore],
) -> None:
    tries = [store.create(book.make("shop", "github", preset="github")) for store in stores]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["HookExists", "NoneType"]


async def test_what_came_is_counted_together_and_survives(
    stores: tuple[HookStore, HookStore], nats_server: EmbeddedServer
) -> None:
    here, there = stores
    hook = book.make("shop", "github", preset="github")
    await here.create(hook)
    await until(lambda: there.find(hook.slug))
    for store in stores:
        for _ in range(5):
            store.count(hook, Counts(accepted=1, last=MOMENT))
        store.count(hook, Counts(refused=1))
    client = await connect(nats_server.url, name="later")
    later = HookStore(client)
    await later.start()
    async with asyncio.timeout(60):
        while await later.counts(hook) != Counts(accepted=10, refused=2, last=MOMENT):
            await asyncio.sleep(0.05)
    await here.delete("default", "shop")
    again = book.make("shop", "github", preset="github")
    await here.create(again)
    assert await here.counts(again) == Counts()
    await later.stop()
    await client.close()


async def test_counts_that_still_waited_are_written_at_the_end(nats_server: EmbeddedServer) -> None:
    client = await connect(nats_server.url, name="one")
    hook = book.make("shop", "github", preset="github")
    for expected in (1, 2):
        store = HookStore(client)
        await store.start()
        if expected == 1:
            await store.create(hook)
        store.count(hook, Counts(unmapped=1))
        await store.stop()
    last = HookStore(client)
    await last.start()
    assert await last.counts(hook) == Counts(unmapped=2)
    await last.stop()
    await client.close()


async def test_an_entry_that_cannot_be_read_is_no_hook_and_no_log_repeats_it(
    stores: tuple[HookStore, HookStore], nats_server: EmbeddedServer, caplog: pytest.LogCaptureFixture
) -> None:
    hook = book.make("shop", "github", preset="github")
    await stores[0].create(hook)
    await until(lambda: stores[1].find(hook.slug))
    client = await connect(nats_server.url, name="vandal")
    with caplog.at_level(logging.DEBUG):
        await (await client.jetstream().key_value(BUCKET)).put(hook.key, f'{{"secret": "{hook.secret}"'.encode())
        await until(lambda: stores[0].find(hook.slug) is None and stores[1].find(hook.slug) is None)
    assert hook.secret not in caplog.text
    assert hook.secret not in repr(hook)
    await client.close()


async def test_the_broker_s_absence_is_told_and_passes(
    stores: tuple[HookStore, HookStore], nats_server: EmbeddedServer
) -> None:
    hook = book.make("shop", "github", preset="github")
    await stores[0].create(hook)
    port = int(nats_server.address.rpartition(":")[2])
    nats_server.stop()
    assert stores[0].find(hook.slug) == hook
    with pytest.raises(HooksUnavailable):
        await stores[0].create(book.make("other", "github", preset="github"))
    nats_server.port = port
    await asyncio.to_thread(nats_server.start)
    async with asyncio.timeout(60):
        while True:
            try:
                await stores[1].create(book.make("after", "github", preset="github"))
                break
            except HooksUnavailable:
                await asyncio.sleep(0.1)
    await until(lambda: len(stores[0].all("default")) == 2)


async def test_the_secret_lies_where_only_the_owner_of_the_home_can_read(
    stores: tuple[HookStore, HookStore], nats_server: EmbeddedServer
) -> None:
    hook = book.make("shop", "github", preset="github")
    await stores[0].create(hook)
    holding = [p for p in nats_server.folder.rglob("*") if p.is_file() and hook.secret.encode() in p.read_bytes()]
    assert holding
    for path in holding:
        guards = [parent for parent in (path, *path.parents) if parent.is_relative_to(nats_server.folder)]
        assert any(guard.stat().st_mode & 0o077 == 0 for guard in guards), path
