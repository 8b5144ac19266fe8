"""Watchers: what the loop, the cursor and the schemes promise to each of them."""

import asyncio
import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from airside.agent.watching import schemes
from airside.agent.watching.asking import Asking
from airside.agent.watching.cursors import CursorFile
from airside.agent.watching.loop import Loop
from airside.agent.watching.watcher import Cursor, Polled, WatchError, WatchOptions, WatchRefused
from airside.sdk.emitting.emitter import Emitter
from airside.sdk.emitting.settings import EmitSettings
from airside.sdk.emitting.spool import segment_paths


class Counter:
    """Watches a list of numbers, two a poll."""

    name = "counter://numbers"

    def __init__(self, numbers: list[int], fails: int = 0) -> None:
        self.numbers = numbers
        self.fails = fails
        self.asked: list[Cursor] = []

    async def poll(self, cursor: Cursor) -> Polled:
        self.asked.append(cursor)
        if len(self.asked) <= self.fails:
            raise WatchError("the numbers are away")
        after = cursor.get("after", 0)
        found = [number for number in self.numbers if number > after][:2]
        events = [{"id": f"n{n}", "type": "number.seen", "source": "test://", "resource": {"id": "n"}} for n in found]
        return Polled(events, {"after": found[-1]} if found else cursor, more=len(found) == 2)

    async def close(self) -> None:
        pass


def emitter(home: Path) -> Emitter:
    """An emitter whose server is away: what it is given stays on disk."""
    return Emitter(EmitSettings(url="http://127.0.0.1:9", spool=home / "spool", exit_seconds=0, source="test://"))


def spooled(home: Path, sender: Emitter) -> list[str]:
    folder = sender.shipper.spool.folder
    lines = [line for path in segment_paths(folder) for line in path.read_text().splitlines()]
    return [json.loads(line)["id"] for line in lines]


async def test_it_polls_while_there_is_more_and_goes_on_where_it_was(tmp_path: Path) -> None:
    watcher, sender = Counter([1, 2, 3, 4, 5]), emitter(tmp_path)
    file = CursorFile(tmp_path, watcher.name, "server")
    await Loop(watcher, file, sender).once()
    file.close()

    watcher.numbers += [6]
    again = CursorFile(tmp_path, watcher.name, "server")
    await Loop(watcher, again, sender).once()
    again.close()
    sender.close(0)

    assert watcher.asked == [{}, {"after": 2}, {"after": 4}, {"after": 5}]
    assert spooled(tmp_path, sender) == ["n1", "n2", "n3", "n4", "n5", "n6"]


async def test_events_are_on_disk_before_the_cursor_moves_past_them(tmp_path: Path) -> None:
    watcher, sender = Counter([1, 2]), emitter(tmp_path)
    seen: list[Cursor] = []

    class Recording(CursorFile):
        def write(self, cursor: Cursor) -> None:
            assert spooled(tmp_path, sender) == ["n1", "n2"]
            seen.append(cursor)

    file = Recording(tmp_path, watcher.name, "server")
    await Loop(watcher, file, sender).once()
    file.close()
    sender.close(0)
    assert seen == [{"after": 2}]


async def test_a_poll_that_fails_is_told_and_tried_again(tmp_path: Path) -> None:
    watcher, sender = Counter([1], fails=2), emitter(tmp_path)
    file = CursorFile(tmp_path, watcher.name, "server")
    troubles: list[str] = []
    done = asyncio.Event()

    def seen(event: Mapping[str, Any]) -> None:
        done.set()

    task = asyncio.ensure_future(Loop(watcher, file, sender, on_event=seen, on_trouble=troubles.append).forever(0.01))
    async with asyncio.timeout(20):
        await done.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    file.close()
    sender.close(0)
    assert troubles[:2] == ["the numbers are away"] * 2


def test_two_processes_do_not_watch_the_same_for_one_server(tmp_path: Path) -> None:
    first = CursorFile(tmp_path, "counter://numbers", "server")
    with pytest.raises(WatchRefused, match="another process"):
        CursorFile(tmp_path, "counter://numbers", "server")
    CursorFile(tmp_path, "counter://numbers", "another server").close()
    first.close()
    CursorFile(tmp_path, "counter://numbers", "server").close()


def test_a_damaged_cursor_is_told_and_not_passed_over(tmp_path: Path) -> None:
    file = CursorFile(tmp_path, "counter://numbers", "server")
    file.write({"after": 7})
    assert file.read() == {"after": 7}
    file.path.write_text("{")
    with pytest.raises(WatchRefused, match="delete it"):
        file.read()
    file.close()


def test_a_scheme_that_nothing_watches_names_those_that_something_does() -> None:
    with pytest.raises(WatchRefused, match="airflow://"):
        schemes.open_watcher("gopher://x", WatchOptions())


def test_a_question_that_hangs_is_asked_once_and_keeps_no_process() -> None:
    asked, go = [], threading.Event()

    def hangs() -> str:
        asked.append(1)
        go.wait(60)
        return "at last"

    async def ask() -> str:
        asking = Asking(hangs)
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await asking.answer(0.05)
        go.set()
        return await asking.answer(30)

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await Asking(threading.Event().wait).answer(0.05)

    assert asyncio.run(ask()) == "at last"
    assert asked == [1]
    asyncio.run(give_up())  # with the executor of asyncio it would never end
