"""What older versions and coordinators that died left in the queues is put right."""

from tests.integration.test_queue_order import asked, deployed
from tests.integration.test_work import Plane, claimed, registered, state_of

from airside.coordinator.deployments.book import Queue
from airside.coordinator.work.line import Line
from airside.coordinator.work.places import Places
from airside.coordinator.work.stream import STREAM, WorkStream
from airside.events.log import Log
from airside.events.log.streams import api


async def test_queues_of_an_older_version_are_served_on(log: Log) -> None:
    work, queue = WorkStream(log.nc), Queue("default", "etl")
    await work.ensure()
    now = (await api(log.nc, f"STREAM.INFO.{STREAM}"))["config"]
    await api(log.nc, f"STREAM.UPDATE.{STREAM}", now | {"subjects": ["work.>", "timer.>"]})
    old = "work.default.m2ouxyqjmcsz5jlm.5.run-1"
    await work.publish_once(old.replace("m2ouxyqjmcsz5jlm", (await work.keep(queue)).rpartition("_")[2]), "run-1")
    newer = WorkStream(log.nc)
    await newer.ensure()
    await newer.put("default", "etl", 0, "run-2")
    assert [message.data.decode() for message in await Line(newer).take(queue, 5)] == ["run-1", "run-2"]


async def test_a_place_that_a_coordinator_took_before_it_died_is_taken_back(plane: Plane) -> None:
    coordinator, client = plane
    agent = await registered(client)
    await deployed(client, "one", concurrency={"limit": 1})
    runs = await asked(client, "one", 2)
    places = Places(coordinator.log.nc)
    await places.start()
    assert await places.take("default", "nightly/one", (runs[0], "12345678"), 1)
    assert await claimed(client, agent, limit=5) == []
    coordinator.deployments.work.lease_seconds = 1
    found: list[str] = []
    while not found:
        found = [claim["run"] for claim in await claimed(client, agent, limit=5, wait=25)]
    assert len(found) == 1
    assert (await state_of(client, found[0]))["state"] == "pending"
    assert [run for run, _ in await places.holders("default", "nightly/one")] == found
    await places.stop()
