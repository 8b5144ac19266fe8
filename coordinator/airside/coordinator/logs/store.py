"""The stream LOGS: kept for some days and up to some size, then the oldest lines go."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, TypeAlias

import msgspec
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from airside.coordinator.logs import lines
from airside.coordinator.logs.lines import PER_MESSAGE, Line
from airside.events.exceptions import AirsideError, LogError, LogUnavailable
from airside.events.log import streams
from airside.events.subjects import token

STREAM: Final = "LOGS"
_NOT_FOUND: Final = 10_059
#: The broker sets a stream's size aside when the stream is made, and has no such room on its disk.
_NO_ROOM: Final = 10_047
#: Less than this is not tried unless it is asked for.
_LEAST_BYTES: Final = 16 * 2**20
_DAY_NANOS: Final = 86_400 * 1_000_000_000
#: Read from the broker at a time, and for one answer at most: who searches much goes on with `next`.
_BATCH: Final = 64
_MAX_SCAN_BYTES: Final = 32 * 2**20
_ANSWER_SECONDS: Final = 5.0
_MAX_FOLLOWERS: Final = 200
_log = logging.getLogger("airside.logs")
Wait: TypeAlias = Callable[[float], Awaitable[None]]


class TooManyFollowers(AirsideError):
    """Too many follow logs already. Try again in a moment."""


class LogSettings(BaseSettings):
    """How long log lines are kept: `AIRSIDE_LOGS_MAX_AGE_DAYS=7` and `AIRSIDE_LOGS_MAX_BYTES=…`."""

    model_config = SettingsConfigDict(env_prefix="AIRSIDE_LOGS_", frozen=True)

    max_age_days: float = Field(7.0, gt=0, le=3_650, description="older lines are forgotten")
    max_bytes: int = Field(2**30, ge=2**20, description="beyond this size the oldest lines are forgotten")


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which lines, oldest first. `after` is a position, `since` in microseconds since 1970; `contains` ignores case."""

    workspace: str
    run: str | None = None
    task_run: str | None = None
    after: int = 0
    since: int | None = None
    level: int = 0
    contains: str = ""
    limit: int = 1_000

    def takes(self, line: Line) -> bool:
        """Tell whether a line is wanted."""
        if line.level < self.level or (self.task_run and line.task_run != self.task_run):
            return False
        if self.since and line.time < self.since:
            return False
        return not self.contains or self.contains.casefold() in line.message.casefold()


class Page(msgspec.Struct, frozen=True):
    """Lines with their positions, and the position to go on after; `more` says that there is more to look at."""

    found: list[tuple[int, Line]]
    after: int
    more: bool


class LogStore:
    """Log lines in the stream LOGS. `start` before use, `stop` at the end."""

    def __init__(self, nc: Client, *, replicas: int = 1, settings: LogSettings | None = None) -> None:
        self._nc = nc
        self._replicas = replicas
        self._settings = settings or LogSettings()
        self._followers = 0

    async def start(self) -> None:
        """Create the stream where it is missing, and make it as the settings say; smaller where the disk is small.

        Raises LogUnavailable, and LogError when there is no room for even little.
        """
        wanted = {
            "name": STREAM,
            "subjects": ["log.>"],
            "retention": "limits",
            "storage": "file",
            "discard": "old",
            "num_replicas": self._replicas,
            "max_age": int(self._settings.max_age_days * _DAY_NANOS),
            "max_bytes": self._settings.max_bytes,
            "duplicate_window": streams.DUPLICATE_WINDOW_SECONDS * 1_000_000_000,
            "allow_direct": True,
        }
        try:
            found = (await streams.api(self._nc, f"STREAM.INFO.{STREAM}"))["config"]
        except streams.ApiError as error:
            if error.code != _NOT_FOUND:
                raise
            await self._fit(f"STREAM.CREATE.{STREAM}", wanted, present=0)
            return
        changed = {key: wanted[key] for key in ("max_age", "max_bytes") if found.get(key) != wanted[key]}
        if changed:
            await self._fit(f"STREAM.UPDATE.{STREAM}", found | changed, present=max(found.get("max_bytes", 0), 0))

    async def _fit(self, verb: str, wanted: dict[str, Any], *, present: int) -> None:
        """Ask for the stream, and for half its size as often as the broker has no room, but not below the present."""
        size = asked = wanted["max_bytes"]
        while True:
            try:
                await streams.api(self._nc, verb, wanted | {"max_bytes": size})
            except streams.ApiError as error:
                if error.code != _NO_ROOM:
                    raise
                if size == present or (size <= _LEAST_BYTES and not present):
                    raise LogError(
                        f"the broker's disk has no room for {_mebibytes(size)} of log lines: free some, or ask for "
                        f"less with AIRSIDE_LOGS_MAX_BYTES ({error})"
                    ) from error
                size = max(size // 2, present or _LEAST_BYTES)
                continue
            if size < asked:
                _log.warning(
                    "the broker's disk has no room for %s of log lines, so %s are kept; AIRSIDE_LOGS_MAX_BYTES sets it",
                    _mebibytes(asked),
                    _mebibytes(size),
                    extra={"action": "logs.smaller"},
                )
            return

    async def stop(self) -> None:
        """Nothing is open."""

    async def add(self, workspace: str, posted: Sequence[Line], batch: str | None) -> None:
        """Keep lines. `batch` names a request that may be sent again: the same lines of it count once.

        Other lines under the same name are kept too. Raises LogUnavailable.
        """
        js = self._nc.jetstream()
        try:
            for number, (run, body) in enumerate(lines.messages(posted)):
                headers = {"Nats-Msg-Id": _message_id(workspace, batch, number, body)} if batch else None
                await js.publish(_subject(workspace, run), body, headers=headers, timeout=_ANSWER_SECONDS)
        except (NatsError, TimeoutError) as error:
            raise LogUnavailable(f"log lines are not acknowledged: {error!r}") from error

    async def read(self, wanted: Wanted) -> Page:
        """Read lines from the oldest on, as many as are wanted, or as far as one answer may look."""
        subject = _subject(wanted.workspace, wanted.run)
        after, found, scanned = wanted.after, [], 0
        since = wanted.since if not after else None
        while scanned < _MAX_SCAN_BYTES:
            got = await self._batch(subject, after // PER_MESSAGE or 1, since)
            since = None
            for number, body in got:
                scanned += len(body)
                for place, line in enumerate(lines.kept(body)):
                    position = number * PER_MESSAGE + place
                    if position > wanted.after and wanted.takes(line):
                        found.append((position, line))
                        if len(found) == wanted.limit:
                            return Page(found, position, more=True)
                after = (number + 1) * PER_MESSAGE - 1
            if len(got) < _BATCH:
                return Page(found, max(after, wanted.after), more=False)
            after += 1
        return Page(found, after, more=True)

    @property
    def is_full(self) -> bool:
        """Tell whether one more follower would be refused."""
        return self._followers >= _MAX_FOLLOWERS

    @contextlib.asynccontextmanager
    async def follow(self, workspace: str, run: str) -> AsyncIterator[Wait]:
        """Give something to wait with, at most so many seconds, for new lines of a run. Raises TooManyFollowers."""
        if self.is_full:
            raise TooManyFollowers(f"{TooManyFollowers.__doc__}")
        news = asyncio.Event()

        async def came(_message: Msg) -> None:
            news.set()

        async def wait(seconds: float) -> None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await news.wait()
            news.clear()

        self._followers += 1
        try:
            subscription = await self._nc.subscribe(_subject(workspace, run), cb=came)
            try:
                yield wait
            finally:
                with contextlib.suppress(NatsError):
                    await subscription.unsubscribe()
        finally:
            self._followers -= 1

    async def _batch(self, subject: str, first: int, since: int | None) -> list[tuple[int, bytes]]:
        """Read up to a batch of messages from a sequence number, or a time, on: (number, body)."""
        asked: dict[str, Any] = {"batch": _BATCH, "next_by_subj": subject}
        asked |= {"start_time": datetime.fromtimestamp(since / 1_000_000, UTC).isoformat()} if since else {"seq": first}
        inbox = self._nc.new_inbox()
        subscription = await self._nc.subscribe(inbox)
        found: list[tuple[int, bytes]] = []
        try:
            await self._nc.publish(f"$JS.API.DIRECT.GET.{STREAM}", orjson.dumps(asked), reply=inbox)
            while True:
                message = await subscription.next_msg(timeout=_ANSWER_SECONDS)
                headers = message.headers or {}
                if status := headers.get("Status"):
                    if status not in ("204", "404"):
                        raise LogUnavailable(f"the stream of log lines answers {status}")
                    return found
                found.append((int(headers["Nats-Sequence"]), message.data))
        except (NatsError, TimeoutError) as error:
            raise LogUnavailable(f"log lines cannot be read: {error!r}") from error
        finally:
            with contextlib.suppress(NatsError):
                await subscription.unsubscribe()


def _message_id(workspace: str, batch: str, number: int, body: bytes) -> str:
    return f"{workspace}.{batch}.{number}.{sha256(body).hexdigest()[:32]}"


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"


def _subject(workspace: str, run: str | None) -> str:
    return f"log.{workspace}.{token(run) if run else '*'}"
