"""Everything is ended in the opposite order, whatever one of the steps does."""

import asyncio
import logging

import pytest

from airside.coordinator.stopping import Stops


async def test_steps_are_taken_from_the_last_to_the_first_although_one_fails_and_one_never_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    taken: list[str] = []
    stops = Stops(step_seconds=0.05)

    async def never() -> None:
        taken.append("never")
        while True:
            try:
                await asyncio.sleep(3_600)
            except asyncio.CancelledError:
                if "first" in taken:
                    raise

    def fails() -> None:
        taken.append("fails")
        raise OSError("no")

    async def last() -> None:
        await asyncio.sleep(0)
        taken.append("last")

    stops.append(lambda: taken.append("first"))
    stops.append(fails)
    stops.append(never)
    stops.append(last)
    with caplog.at_level(logging.ERROR):
        await stops.run()
    assert taken == ["last", "never", "fails", "first"]
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert "never did not end within" in caplog.records[0].getMessage()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
