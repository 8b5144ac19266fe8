"""A plane in memory for the tests of the API: a log that is a list, real views, a real feed, real tokens.

It keeps the promises that the API relies on: positions without gaps, an id counts once, what is published in the feed
is queryable. Only the broker is missing.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import orjson

from airside.coordinator import tokens
from airside.coordinator.api import HttpSettings, NotFound, Rebuild, Status
from airside.coordinator.feed import Feed
from airside.coordinator.hooks.book import Counts, HookBook, HookExists, StoredHook, key_of
from airside.coordinator.metrics import Metrics
from airside.coordinator.tokens import Principal, Role, Token, TokenBook
from airside.coordinator.views import Views
from airside.coordinator.views.exceptions import QueryRefused
from airside.events import LogUnavailable, Record, WireEvent, WireResource, subjects, wire
from airside.events.limits import Limits
from airside.events.log import Appended, Batch, Head, Poison
from airside.events.stored import Stored
from airside.events.wire import to_micros

START = to_micros(datetime(2026, 11, 22, 9, 0, tzinfo=UTC))


class MemoryLog:
    """The log and the gateway in one: entries in a list, folded into the views at once."""

    def __init__(self, views: Views, feed: Feed) -> None:
        self.entries: list[Record | Poison] = []
        self.fails: Exception | None = None
        self.submitted: list[int] = []
        self._ids: set[tuple[str, str]] = set()
        self._views = views
        self._feed = feed

    async def submit(self, events: Sequence[WireEvent]) -> Appended:
        if self.fails is not None:
            raise self.fails
        self.submitted.append(len(events))
        fresh: list[WireEvent] = []
        for event in events:
            if (event.workspace, event.id) not in self._ids:
                self._ids.add((event.workspace, event.id))
                fresh.append(event)
        if not fresh:
            return Appended(0, len(events))
        records = [self._record(event, number) for number, event in enumerate(fresh)]
        self._fold(records)
        return Appended(len(records), len(events) - len(records), records[0].position, records[-1].position)

    def add(self, event: WireEvent, subject: str = "") -> Record:
        """Append one event, of anybody or of the plane's own."""
        record = self._record(event, subject=subject)
        self._fold([record])
        return record

    def _record(self, event: WireEvent, number: int = 0, subject: str = "") -> Record:
        position = len(self.entries) + number + 1
        subject = subject or subjects.event(event.workspace, event.resource.id, event.type)
        return Record(position, START + (position - 1) * 1_000_000, subject, event)

    def add_poison(self, data: bytes) -> None:
        """Append something that is no event."""
        position = len(self.entries) + 1
        self._fold([Poison(position, START + position * 1_000_000, "ev.default.x.y", data, "not an event")])

    def _fold(self, entries: Sequence[Record | Poison]) -> None:
        self.entries += entries
        folded = self._views.apply(_batch(entries))
        self._feed.publish(folded.new, self._views.position)

    async def head(self) -> Head:
        if self.fails is not None:
            raise self.fails
        return Head("2026-11-22T09:00:00Z", 1, len(self.entries))

    async def read(self, first: int, last: int) -> AsyncIterator[Batch]:
        for start in range(first - 1, last, 100):
            yield _batch(self.entries[start : min(start + 100, last)])

    async def read_stored(self, first: int, last: int) -> AsyncIterator[list[Stored]]:
        for start in range(first - 1, last, 100):
            yield [_stored(entry) for entry in self.entries[start : min(start + 100, last)]]


def _stored(entry: Record | Poison) -> Stored:
    data = entry.data if isinstance(entry, Poison) else wire.encode(entry.event)
    return entry.position, entry.received, entry.subject.encode(), data


def _batch(entries: Sequence[Record | Poison]) -> Batch:
    records = [entry for entry in entries if isinstance(entry, Record)]
    poison = [entry for entry in entries if isinstance(entry, Poison)]
    return Batch(records, poison, entries[-1].position, entries[-1].received, entries[0].position)


class MemoryAutomations:
    """Writes automations to the log, as the coordinator does."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self._known: dict[str, tuple[int, dict[str, Any]]] = {}

    async def apply(self, automations: Sequence[Any]) -> list[dict[str, Any]]:
        return [self._apply(automation.name, automation.to_document()) for automation in automations]

    def _apply(self, name: str, document: dict[str, Any]) -> dict[str, Any]:
        revision, present = self._known.get(name, (0, None))
        if present == document:
            return {"name": name, "revision": revision, "change": "unchanged"}
        change = "updated" if revision else "created"
        self._known[name] = (revision + 1, document)
        self._write(change, name, document=document)
        return {"name": name, "revision": revision + 1, "change": change}

    async def enable(self, name: str) -> None:
        self._write("enabled", name)

    async def disable(self, name: str) -> None:
        self._write("disabled", name)

    async def delete(self, name: str) -> None:
        self._write("deleted", name)
        del self._known[name]

    def _write(self, change: str, name: str, **more: Any) -> None:
        if name not in self._known:
            raise NotFound(name)
        payload = {"name": name, "revision": self._known[name][0], **more}
        event = own_event(f"automation.{change}", f"automation://{name}", payload)
        self._log.add(event, subjects.control("default", event.resource.id, event.type))


def own_event(event_type: str, resource: str, payload: dict[str, Any], event_id: str = "") -> WireEvent:
    """Make an event as the plane itself writes them."""
    scheme, _, name = resource.partition("://")
    return WireEvent(
        id=event_id or f"{event_type}-{resource}-{len(orjson.dumps(payload))}-{payload.get('revision', 0)}",
        type=event_type,
        time=datetime(2026, 11, 22, 9, 0, tzinfo=UTC),
        source="airside://test",
        resource=WireResource(resource, scheme, name),
        payload=msgspec.Raw(orjson.dumps(payload)),
    )


class MemoryHooks:
    """Hooks that are gone when the process is."""

    def __init__(self) -> None:
        self.book = HookBook()
        self.hooks: dict[str, StoredHook] = {}
        self.counted: dict[str, Counts] = {}

    async def create(self, hook: StoredHook) -> None:
        if hook.key in self.hooks:
            raise HookExists(f"{HookExists.__doc__}")
        self.hooks[hook.key] = hook
        self.book.replace(self.hooks.values())

    async def delete(self, workspace: str, name: str) -> bool:
        found = self.hooks.pop(key_of(workspace, name), None)
        self.book.replace(self.hooks.values())
        return found is not None

    def all(self, workspace: str) -> list[StoredHook]:
        return self.book.of(workspace)

    def find(self, slug: str) -> StoredHook | None:
        return self.book.find(slug)

    def count(self, hook: StoredHook, counts: Counts) -> None:
        self.counted[hook.key] = self.counted.get(hook.key, Counts()).plus(counts)

    async def counts(self, hook: StoredHook) -> Counts:
        return self.counted.get(hook.key, Counts())


class MemoryTokens:
    """Tokens that are gone when the process is."""

    def __init__(self) -> None:
        self.book = TokenBook()

    async def create(
        self, name: str, role: Role, *, expires: datetime | None = None, workspace: str = "default"
    ) -> tuple[Token, str]:
        token, text = tokens.make(name, role, expires=expires, workspace=workspace)
        self.book.tokens[token.id] = token
        return token, text

    async def all(self) -> list[Token]:
        return list(self.book.tokens.values())

    async def revoke(self, token_id: str) -> bool:
        return self.book.tokens.pop(token_id, None) is not None

    def knows(self, token_id: str) -> bool:
        return token_id in self.book.tokens

    def check(self, text: str) -> Principal | None:
        return self.book.check(text, datetime.now(UTC))

    def still_valid(self, principal: Principal) -> bool:
        return self.book.still_valid(principal, datetime.now(UTC))


@dataclass
class Answer:
    """The result of a query."""

    columns: list[dict[str, Any]]
    rows: list[list[Any]]
    truncated: bool
    position: int


class DirectQueries:
    """Runs a query on the views themselves: for tests of the route, not of what a query may do."""

    def __init__(self, views: Views) -> None:
        self._views = views

    async def run(
        self, sql: str, parameters: Sequence[Any], *, workspace: str, limit_rows: int, timeout: float
    ) -> Answer:
        if not sql.lstrip().upper().startswith("SELECT"):
            raise QueryRefused("only one SELECT is taken")

        def read(con: Any) -> Answer:
            cursor = con.execute(sql, list(parameters))
            columns = [{"name": name, "type": str(kind)} for name, kind, *_ in cursor.description]
            rows = [list(row) for row in cursor.fetchmany(limit_rows + 1)]
            return Answer(columns, rows[:limit_rows], len(rows) > limit_rows, self._views.position)

        return await self._views.run_read(read)


class MemoryPlane:
    """Everything the API needs, in one process and without a broker."""

    def __init__(self, folder: Path, *, auth_required: bool = False, limits: Limits | None = None, **http: Any) -> None:
        self.http = HttpSettings(**http)
        self.limits = limits or Limits()
        self.auth_required = auth_required
        self.views = Views.open(folder / "views.duckdb")
        self.feed = Feed(max_watchers=self.http.max_streams)
        self.log = MemoryLog(self.views, self.feed)
        self.reading_log = self.log
        self.gateway = self.log
        self.automations = MemoryAutomations(self.log)
        self.queries = DirectQueries(self.views)
        self.tokens = MemoryTokens()
        self.hooks = MemoryHooks()
        self.metrics = Metrics()
        self.reasons: list[str] = []
        self.held: dict[str, dict[str, dict[str, int]]] = {}
        self.unserved: list[dict[str, Any]] = []
        self.rebuilt: Rebuild | None = None

    async def run_read(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return await self.views.run_read(function, *args, **kwargs)

    async def status(self) -> Status:
        last = len(self.log.entries)
        return Status(
            version="0.0.test",
            addresses={"http": "http://127.0.0.1:7700"},
            log_first=1,
            log_last=last,
            log_bytes=last * 100,
            views_position=self.views.position,
            engine_position=last,
            engine_now=START,
            counts={"events": last},
        )

    async def unserved_queues(self, workspace: str) -> list[dict[str, Any]]:
        return self.unserved

    def held_back(self, workspace: str) -> dict[str, dict[str, int]]:
        return self.held.get(workspace, {})

    def not_ready(self) -> list[str]:
        return self.reasons

    async def rebuild_views(self) -> Rebuild:
        self.rebuilt = Rebuild(running=False, position=self.views.position, target=self.views.position)
        return self.rebuilt

    def rebuild_progress(self) -> Rebuild | None:
        return self.rebuilt

    def close(self) -> None:
        self.feed.close()
        self.views.close()


def unavailable() -> LogUnavailable:
    """Give the error of a log that does not answer."""
    return LogUnavailable("the log does not acknowledge: TimeoutError()")
