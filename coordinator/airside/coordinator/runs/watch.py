"""The watch over running flows: who waits for a change of a run is woken, and silent runs are called `crashed`.

A run whose process beats (`resource.heartbeat`), or said in `running` that it will (`heartbeat_seconds`), and then is
silent for three beats has lost its process. Silence counts
only as far as this coordinator was able to hear: time in which it stood still, could not reach the log, or was behind
it begins the three beats anew for every run. Before the verdict the log itself is asked for a later sign of life, and
the verdict is a proposal: of several coordinators one writes it, and a run that has changed meanwhile refuses it.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from airside.coordinator.feed import Entry, Feed
from airside.coordinator.runs import commands
from airside.coordinator.runs import present as presents
from airside.coordinator.runs.exceptions import RunChanged
from airside.coordinator.runs.lost_tasks import LostTasks
from airside.coordinator.runs.proposals import Proposals
from airside.events import run_states, subjects, vocabulary
from airside.events.exceptions import LogError
from airside.events.log import Log
from airside.events.run_states import State
from airside.events.wire import Record

#: So many beats that do not come are a crash.
BEATS: Final = 3
DEFAULT_BEAT_SECONDS: Final = 10.0
_MIN_BEAT_SECONDS, _MAX_BEAT_SECONDS = 0.05, 3_600.0
_MAX_LOOK_SECONDS: Final = 1.0
#: A coordinator that did not come to look for so long did not listen either.
_BLIND_SECONDS: Final = 5.0
_PAGE: Final = 1_000
_log = logging.getLogger("airside.runs")

Key = tuple[str, str]
#: Gives (workspace, run, position and payload of its last beat) of the runs that have a process and beat.
Beating = Callable[[], Awaitable[Iterable[tuple[str, str, int, Mapping[str, Any]]]]]


@dataclass(slots=True)
class _Life:
    """What was heard of a run: `at` on our monotonic clock, `position` on the log, `every` in seconds."""

    at: float
    position: int = 0
    every: float | None = None
    alive: bool = False

    def silent_since(self, now: float) -> bool:
        return self.alive and self.every is not None and now - self.at > BEATS * self.every


class RunWatch:
    """Follows the feed. Every method belongs to the event loop's thread."""

    def __init__(
        self,
        log: Log,
        feed: Feed,
        proposals: Proposals,
        beating: Beating,
        is_blind: Callable[[], bool],
        *,
        lost_tasks: LostTasks,
    ) -> None:
        self._log = log
        self._feed = feed
        self._proposals = proposals
        self._beating = beating
        self._is_blind = is_blind
        self._lost_tasks = lost_tasks
        #: Whether a run has crashed since tasks were last looked after.
        self._crashes = False
        self._lives: dict[Key, _Life] = {}
        self._waiting: dict[Key, set[asyncio.Event]] = {}
        #: How many entries of the log were looked at.
        self.seen = 0
        #: Called when a run has come to wait for an agent again.
        self.on_waiting: Callable[[], None] = lambda: None
        #: Whether nobody is told of changes, since the watch has ended.
        self.over = False

    @contextlib.asynccontextmanager
    async def changes(self, workspace: str, run: str) -> AsyncIterator[asyncio.Event]:
        """Give an event that is set when the run changes, from now on."""
        told = asyncio.Event()
        key = (workspace, run)
        self._waiting.setdefault(key, set()).add(told)
        try:
            yield told
        finally:
            self._waiting[key].discard(told)
            if not self._waiting[key]:
                del self._waiting[key]

    async def run(self) -> None:
        """Watch until cancelled, or until the feed is closed: then whoever waits is answered."""
        self.over = False
        try:
            await self._watch()
        finally:
            self.over = True
            self._wake_all()

    async def _watch(self) -> None:
        with self._feed.watch():
            position = await self._begin()
            looked = time.monotonic()
            while not self._feed.closed:
                entries = self._feed.after(position, _PAGE)
                if entries is None:  # the feed went on without us
                    position = await self._begin()
                    continue
                position = self._note(entries, position)
                now = time.monotonic()
                if now - looked > _BLIND_SECONDS or self._is_blind():
                    self._hear_all_anew(now)
                elif len(entries) < _PAGE:
                    await self._judge(now)
                    await self._look_after_tasks()
                looked = time.monotonic()
                if len(entries) < _PAGE:
                    await self._feed.wait(max(position, self._feed.head), self._look_seconds())

    async def _begin(self) -> int:
        """Take up the runs that the views know; each of them has its three beats from now on."""
        position = self._feed.head
        now = time.monotonic()
        self._lives = {
            (workspace, run): _Life(now, heard, _every(payload), alive=True)
            for workspace, run, heard, payload in await self._beating()
        }
        self._crashes = True  # one may have crashed while nobody watched
        self._wake_all()  # whatever changed meanwhile
        return position

    def _wake_all(self) -> None:
        for told in self._waiting.values():
            for event in told:
                event.set()

    def _note(self, entries: list[Entry], position: int) -> int:
        now = time.monotonic()
        for entry in entries:
            self._hear(entry.record, now)
            position = entry.record.position
        self.seen += len(entries)
        return position

    def _hear(self, record: Record, now: float) -> None:
        event = record.event
        key = (event.workspace, event.resource.id)
        if event.type == vocabulary.RESOURCE_HEARTBEAT and event.resource.kind == "flow_run":
            life = self._lives.setdefault(key, _Life(now))
            life.at, life.position, life.every = now, record.position, _every(_payload(record))
            return
        change = presents.of_record(record)
        if change is None:
            return
        for told in self._waiting.get(key, ()):
            told.set()
        if change.seq > 1 and presents.waits(change):
            self.on_waiting()
        self._crashes = self._crashes or change.state is State.CRASHED
        if change.state in run_states.TERMINAL:
            self._lives.pop(key, None)
            return
        life = self._lives.setdefault(key, _Life(now))
        life.at, life.position, life.alive = now, record.position, change.state in run_states.ALIVE
        if "heartbeat_seconds" in (payload := change.payload()) and change.state is State.RUNNING:
            life.every = _every(payload)

    def _hear_all_anew(self, now: float) -> None:
        for life in self._lives.values():
            life.at = now

    async def _judge(self, now: float) -> None:
        forgotten = now - _MAX_BEAT_SECONDS
        for key, life in list(self._lives.items()):
            if life.silent_since(now):
                await self._call_crashed(key, life)
            elif life.at < forgotten and not life.alive:
                del self._lives[key]

    async def _call_crashed(self, key: Key, life: _Life) -> None:
        workspace, run = key
        silent = time.monotonic() - life.at
        try:
            last = await self._log.last_on_subject(subjects.about(workspace, run))
            if last > life.position:
                life.at, life.position = time.monotonic(), last  # it was heard of, though not by us yet
                return
            now = await presents.read(self._log, workspace, run)
            if now is None or now.state not in run_states.ALIVE:
                self._lives.pop(key, None)
                return
            text = f"not heard of for {silent:.3g} s, which is more than {BEATS} heartbeats of {life.every:g} s"
            payload = {"message": text, "silent_seconds": round(silent, 3), "heartbeat_seconds": life.every}
            event = commands.following(now, State.CRASHED, payload)
            await self._proposals.propose(event, State.CRASHED, now.seq)
            _log.warning("run %s is called crashed: %s", run, text, extra={"action": "run.crashed", "run": run})
            self._lives.pop(key, None)
        except RunChanged:
            life.at = time.monotonic()
        except LogError as error:
            _log.warning("a crashed run cannot be told of: %s", error)
            self._hear_all_anew(time.monotonic())

    async def _look_after_tasks(self) -> None:
        """Let tasks end whose runs have crashed. What the feed has told of is in the views."""
        if not self._crashes:
            return
        self._crashes = False
        try:
            await self._lost_tasks.end()
        except* LogError as error:
            self._crashes = True
            _log.warning("tasks of a crashed run cannot be told of: %s", error.exceptions[0])

    def _look_seconds(self) -> float:
        beats = [life.every for life in self._lives.values() if life.alive and life.every is not None]
        return min(min(beats, default=_MAX_LOOK_SECONDS) / 2, _MAX_LOOK_SECONDS)


def _payload(record: Record) -> Mapping[str, Any]:
    try:
        return record.event.payload_object()
    except ValueError:
        return {}


def _every(payload: Mapping[str, Any]) -> float:
    every = payload.get("every_seconds", payload.get("heartbeat_seconds"))
    if isinstance(every, bool) or not isinstance(every, int | float):
        return DEFAULT_BEAT_SECONDS
    return min(max(float(every), _MIN_BEAT_SECONDS), _MAX_BEAT_SECONDS)
