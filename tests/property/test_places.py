"""The places of a deployment's runs, taken and freed by several at once on a real broker."""

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airside.coordinator.nats_server import EmbeddedServer
from airside.coordinator.work.places import Holder, Places
from airside.events.log import connect

_RUNS = st.integers(0, 7)
_STEP = st.tuples(st.sampled_from(["take", "take", "free"]), _RUNS, st.integers(0, 1), st.integers(0, 2))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = EmbeddedServer(tmp_path_factory.mktemp("places") / "nats")
    server.start()
    yield server.url
    server.stop()


@settings(max_examples=25)
@given(limit=st.integers(1, 4), rounds=st.lists(st.lists(_STEP, min_size=1, max_size=8), min_size=1, max_size=6))
def test_never_a_place_too_many_and_never_one_that_is_free_refused(
    broker: str, limit: int, rounds: list[list[tuple[str, int, int, int]]]
) -> None:
    asyncio.run(_played(broker, limit, rounds))


async def _played(broker: str, limit: int, rounds: list[list[tuple[str, int, int, int]]]) -> None:
    connections = [await connect(broker, name=f"test-{number}") for number in range(3)]
    places = [Places(nc) for nc in connections]
    try:
        for one in places:
            await one.start()
        deployment = str(uuid4())
        held: set[Holder] = set()
        for steps in rounds:  # the steps of one round go on at the same time
            answers = await asyncio.gather(*(_step(places, deployment, limit, *step) for step in steps))
            now = await places[0].holders("default", deployment)
            assert len(now) <= limit
            assert len({run for run, _ in now}) == len(now)
            freed = {holder for (what, *_), (holder, did) in zip(steps, answers, strict=True) if what == "free" and did}
            taken = {holder for (what, *_), (holder, did) in zip(steps, answers, strict=True) if what == "take" and did}
            assert set(now) <= held | taken
            assert held - freed <= set(now)
            asked = {holder for (what, *_), (holder, _) in zip(steps, answers, strict=True) if what == "take"}
            refused = {run for run, _ in asked - taken - set(now)} - {run for run, _ in now}
            assert not refused or len(held | taken) >= limit
            held = set(now)
    finally:
        for one, nc in zip(places, connections, strict=True):
            await one.stop()
            await nc.close()


async def _step(
    places: list[Places], deployment: str, limit: int, what: str, run: int, claim: int, who: int
) -> tuple[Holder, bool]:
    holder = (f"run-{run}", f"claim-{claim}")
    if what == "free":
        return holder, await places[who].free("default", deployment, holder)
    return holder, holder in await places[who].take("default", deployment, holder, limit)
