"""What must exist once for ever is written many at a time, and once."""

import asyncio

import pytest
from nats.aio.client import Client

from airside.coordinator.nats_server import EmbeddedServer
from airside.events.exceptions import LogDamaged, LogRefused
from airside.events.log import Log, connect, streams


async def stored(nc: Client) -> dict[str, int]:
    answer = await streams.api(nc, f"STREAM.INFO.{streams.FIRE}", {"subjects_filter": ">"})
    return dict(answer["state"].get("subjects") or {})


def subject(number: int) -> str:
    return f"fire.default.abc.{number}"


async def test_each_of_many_is_written_once_and_those_that_exist_say_so(log: Log) -> None:
    first = await asyncio.gather(*(log.create_once(subject(n), b"first") for n in range(300)))
    second = await asyncio.gather(*(log.create_once(subject(n), b"second") for n in range(200, 500)))
    assert first == [True] * 300
    assert second == [False] * 100 + [True] * 200
    assert await stored(log.nc) == {subject(n): 1 for n in range(500)}
    assert (await log.nc.jetstream().get_last_msg(streams.FIRE, subject(250))).data == b"first"


async def test_of_many_writers_that_race_for_the_same_one_wins_each(nats_server: EmbeddedServer, log: Log) -> None:
    others = [await connect(nats_server.url, name=f"other-{n}") for n in range(3)]
    writers = [log, *map(Log, others)]
    answers = await asyncio.gather(
        *(asyncio.gather(*(each.create_once(subject(n), b"x") for n in range(400))) for each in writers)
    )
    for other in others:
        await other.close()
    assert [sum(won) for won in zip(*answers, strict=True)] == [1] * 400
    assert await stored(log.nc) == {subject(n): 1 for n in range(400)}


async def test_the_same_asked_for_twice_at_once_is_written_once(log: Log) -> None:
    answers = await asyncio.gather(*(log.create_once(subject(n % 50), b"x") for n in range(100)))
    assert answers == [True] * 50 + [False] * 50


async def test_one_that_is_refused_does_not_hold_up_the_others(log: Log) -> None:
    sizes = [100, 900_000, 2_000_000, *([100] * 60)]
    answers = await asyncio.gather(
        *(log.create_once(subject(n), b"x" * size) for n, size in enumerate(sizes)), return_exceptions=True
    )
    assert [isinstance(answer, LogRefused) for answer in answers] == [False, True, True, *([False] * 60)]
    assert len(await stored(log.nc)) == 61


async def test_a_stream_of_an_older_airside_is_brought_up_to_date_and_keeps_what_it_holds(log: Log) -> None:
    await log.create_once(subject(1), b"old")
    config = (await streams.api(log.nc, f"STREAM.INFO.{streams.FIRE}"))["config"]
    await streams.api(log.nc, f"STREAM.UPDATE.{streams.FIRE}", config | {"allow_atomic": False})
    await log.ensure()
    info = await streams.api(log.nc, f"STREAM.INFO.{streams.FIRE}")
    assert info["config"]["allow_atomic"] is True
    assert await asyncio.gather(*(log.create_once(subject(n), b"x") for n in range(30))) == [n != 1 for n in range(30)]


async def test_a_stream_that_could_forget_is_not_brought_up_to_date(log: Log) -> None:
    config = (await streams.api(log.nc, f"STREAM.INFO.{streams.FIRE}"))["config"]
    await streams.api(log.nc, f"STREAM.UPDATE.{streams.FIRE}", config | {"allow_atomic": False, "max_age": 10**12})
    with pytest.raises(LogDamaged, match="max_age"):
        await log.ensure()
    info = await streams.api(log.nc, f"STREAM.INFO.{streams.FIRE}")
    assert not info["config"].get("allow_atomic")
