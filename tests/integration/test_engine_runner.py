"""The engine at work on a real log: what it decides is written, whatever stands in the way of one firing."""

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from tests.support.actions import firing

from airside.coordinator.engine import EngineRunner
from airside.coordinator.engine.snapshots import Snapshots
from airside.coordinator.engine.writing import FiringWriter
from airside.coordinator.parts import Parts
from airside.events import wire
from airside.events.log import Log, outgoing, outgoing_control, streams
from airside.events.wire import WireEvent, WireResource, from_micros
from airside.triggers import document

EMIT = {"kind": "emit", "type": "a.b", "resource": {"id": "x://1"}}
START = 1_700_000_000_000_000
KEYS = 2_000
RULE = """
- name: quiet
  trigger: {absence: {type: done}, every: 1s, for_each: resource.id}
  actions: [{emit: {type: a.b, resource: "x://1"}}]
"""


async def until(holds: Callable[[], Any], pause: float = 0.01) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(pause)


async def fired(log: Log) -> list[dict[str, Any]]:
    """The firings on the stream, in its order."""
    found = []
    for position in range(1, (await streams.api(log.nc, f"STREAM.INFO.{streams.FIRE}"))["state"]["last_seq"] + 1):
        message = await log.nc.jetstream().get_msg(streams.FIRE, position)
        found.append(wire.decode(message.data or b"").payload_object())
    return found


async def write(log: Log, *events: WireEvent) -> None:
    await log.append_many([outgoing(event) for event in events])


async def install(log: Log, rule: str = RULE) -> None:
    (automation,) = document.parse_file(rule).automations
    payload = {"name": automation.name, "revision": 1, "document": automation.to_document()}
    event = WireEvent(
        id="install",
        type="automation.created",
        time=from_micros(START),
        source="test",
        resource=WireResource(f"automation://{automation.name}", "automation", automation.name),
        payload=msgspec.Raw(msgspec.json.encode(payload)),
    )
    await log.append(outgoing_control(event))


def done(number: int) -> WireEvent:
    return WireEvent(f"done-{number}", "done", from_micros(START), "test", WireResource(f"x://{number}", "x", ""))


@asynccontextmanager
async def deciding(runner: EngineRunner):  # type: ignore[no-untyped-def]
    task = asyncio.create_task(runner.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_firing_that_the_log_refuses_is_recorded_bare_and_the_others_go_on(log: Log) -> None:
    found = (await streams.api(log.nc, f"STREAM.INFO.{streams.FIRE}"))["config"]
    await streams.api(log.nc, f"STREAM.UPDATE.{streams.FIRE}", found | {"max_msg_size": 4_096})
    refused: list[None] = []
    writer = FiringWriter(log, refused=lambda: refused.append(None))
    large = firing({**EMIT, "payload": {"text": "x" * 10_000}}, identity="f00d")
    writer.put([large, firing(EMIT, identity="beef"), large])
    await asyncio.wait_for(writer.written(), 60)
    by_id = {each["id"]: each for each in await fired(log)}
    assert by_id.keys() == {"f00d", "beef"}
    assert by_id["f00d"]["left_out"] == ["key", "events", "clause", "actions"]
    assert by_id["f00d"]["reason"] == "triggered, but not recorded in full: the log refused it"
    assert by_id["beef"]["actions"] == [EMIT]
    assert (len(refused), writer.trouble, writer.behind) == (1, None, None)


async def test_automations_take_turns_so_that_one_with_many_keys_keeps_nobody_waiting(log: Log) -> None:
    writer = FiringWriter(log)
    writer.put(firing(EMIT, identity=f"{number:08x}") for number in range(2_000))
    writer.put([firing(EMIT, name="other", identity="beef")])
    assert writer.behind == 7
    await asyncio.wait_for(writer.written(), 60)
    order = [each["automation"] for each in await fired(log)]
    assert len(order) == 2_001
    assert order.index("other") < 600


async def test_firings_wait_for_a_log_that_is_full_and_it_is_said(log: Log) -> None:
    found = (await streams.api(log.nc, f"STREAM.INFO.{streams.FIRE}"))["config"]
    await streams.api(log.nc, f"STREAM.UPDATE.{streams.FIRE}", found | {"max_bytes": 100})
    writer = FiringWriter(log)
    writer.put([firing(EMIT)])
    await until(lambda: writer.trouble)
    assert "firings cannot be written" in str(writer.trouble)
    await streams.api(log.nc, f"STREAM.UPDATE.{streams.FIRE}", found | {"max_bytes": -1})
    await asyncio.wait_for(writer.written(), 60)
    assert writer.trouble is None
    assert [each["id"] for each in await fired(log)] == ["f00d"]


async def test_an_engine_that_is_stopped_between_two_slices_decides_the_same_when_it_starts_again(
    log: Log, reading_log: Log, tmp_path: Path
) -> None:
    await install(log)
    await write(log, *(done(number) for number in range(KEYS)))
    snapshots = Snapshots(tmp_path)
    first = EngineRunner(log, snapshots, read_from=reading_log, snapshot_seconds=0.1)
    async with deciding(first):
        await until(lambda: first.engine.position > max(KEYS + 1, first.position), pause=0)
    assert len(await fired(log)) < KEYS
    await first.save()  # in the middle of an entry, or of writing: there is nothing to save
    second = EngineRunner(log, snapshots, read_from=reading_log)
    async with deciding(second):
        await until(lambda: second.position > KEYS + 1 and second.engine.next_deadline is None)
        await until(lambda: second.position == second.engine.position)
    found = await fired(log)
    assert {each["key"]["resource"]["id"] for each in found} == {f"x://{number}" for number in range(KEYS)}
    assert len(found) == KEYS


async def test_a_state_that_cannot_be_saved_stops_nothing_and_is_saved_later(
    log: Log, reading_log: Log, tmp_path: Path
) -> None:
    await install(log)
    folder = tmp_path / "engine"
    runner = EngineRunner(log, Snapshots(folder), read_from=reading_log, snapshot_seconds=0.1)
    async with deciding(runner) as task:
        await write(log, done(1))
        await until(lambda: runner.save_trouble)
        assert "cannot be saved" in str(runner.save_trouble)
        folder.mkdir()
        await write(log, done(2))
        await until(lambda: runner.save_trouble is None or task.done())
        assert not task.done()
        await until(lambda: list(folder.glob("*.snapshot")))


async def test_an_entry_counts_as_decided_once_its_firings_are_on_disk(
    log: Log, reading_log: Log, tmp_path: Path
) -> None:
    found = (await streams.api(log.nc, f"STREAM.INFO.{streams.FIRE}"))["config"]
    await streams.api(log.nc, f"STREAM.UPDATE.{streams.FIRE}", found | {"max_bytes": 100})
    rule = RULE.replace("{absence: {type: done}, every: 1s, for_each: resource.id}", "{match: {type: done}}")
    await install(log, rule)
    await write(log, done(1), done(2))
    runner = EngineRunner(log, Snapshots(tmp_path), read_from=reading_log)
    async with deciding(runner):
        await until(lambda: runner.engine.position >= 3 and runner.write_trouble)
        assert (runner.position, runner.caught_up.is_set()) == (1, False)
        await streams.api(log.nc, f"STREAM.UPDATE.{streams.FIRE}", found | {"max_bytes": -1})
        await until(lambda: runner.position >= 3 and runner.caught_up.is_set())
    assert len(await fired(log)) == 2


async def test_a_part_that_failed_is_well_again_once_it_gets_further_than_before() -> None:
    parts = Parts(steady_seconds=0.05, restart_seconds=0.01)
    position, starts = [0], [0]

    async def part() -> None:
        starts[0] += 1
        if starts[0] < 3:
            position[0] = 5
            raise OSError("no space left")
        position[0] = 4
        await asyncio.Event().wait()

    parts.run("engine", part, progress=lambda: position[0])
    await until(lambda: starts[0] == 3)
    assert parts.failing == {"engine": "OSError: no space left"}
    position[0] = 6
    await until(lambda: not parts.failing)
    await parts.stop("engine")


async def test_a_part_without_an_end_is_well_again_once_it_runs_on() -> None:
    parts = Parts(steady_seconds=0.05, restart_seconds=0.01)
    starts = [0]

    async def part() -> None:
        starts[0] += 1
        if starts[0] == 1:
            raise OSError("gone")
        await asyncio.Event().wait()

    parts.run("queries", part)
    await until(lambda: parts.failing)
    await until(lambda: not parts.failing)
    await parts.stop("queries")
