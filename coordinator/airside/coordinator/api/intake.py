"""What one request puts on the log: collected into chunks, submitted in order, added up."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from airside.coordinator.api import bodies, problems
from airside.coordinator.api.plane import Accepted, Plane
from airside.coordinator.api.problems import ApiProblem
from airside.events import run_states, validation
from airside.events.exceptions import InvalidEvent, LogDamaged, LogFull, LogRefused, LogUnavailable, Problem
from airside.events.limits import Limits
from airside.events.model import DEFAULT_WORKSPACE
from airside.events.wire import WireEvent

#: Events that are taken whole or not at all: as many as one atomic batch of the log holds.
CHUNK_EVENTS: Final = 1_000
#: Bytes of NDJSON after which a chunk is full even with fewer events.
CHUNK_BYTES: Final = 16 * 2**20
_LINEAGE: Final = Problem("", "looks like OpenLineage: post it to /api/v1/lineage, or a list to /api/v1/lineage/batch")
_PREFECT: Final = Problem(
    "", "looks like one of Prefect's events: its clients send them to the WebSocket /api/events/in"
)
_LONG_LINE_BYTES: Final = 8_192
#: Bad lines that a refusal names.
_MAX_NAMED: Final = 10
#: What `airside.coordinator.runs.present.change_id` makes with a word.
_CHANGE_ID: Final = re.compile(
    r"(?:[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|run://.+)\.\d+\.[a-z]+", re.DOTALL
)
_RUNS: Final = ("flow_run.", "task_run.")
NO_SEQ: Final = f"must be the number of the change, from 1 to {run_states.MAX_SEQ:,}"


class Malformed(InvalidEvent):
    """The event is not JSON."""


class TooLarge(InvalidEvent):
    """The event has more bytes than any event may have."""


class Intake:
    """The events of one request on their way to the log.

    Chunks are submitted one after the other, so that positions keep the order of the request; while one is being
    written the next is read.
    """

    def __init__(self, plane: Plane, workspace: str) -> None:
        self._plane = plane
        self._workspace = workspace
        self._pending: asyncio.Task[Accepted] | None = None
        self.accepted = 0
        self.duplicates = 0
        self.first: int | None = None
        self.last: int | None = None

    def result(self) -> dict[str, int | None]:
        """Give what is on disk so far."""
        return {"accepted": self.accepted, "duplicates": self.duplicates, "first": self.first, "last": self.last}

    @property
    def limits(self) -> Limits:
        """The bounds on what is taken."""
        return self._plane.limits

    def parse(self, body: bytes, now: datetime) -> WireEvent:
        """Read one event and put it into the caller's workspace. Raises InvalidEvent, Malformed, TooLarge."""
        try:
            return self.own(validation.parse_event(body, self.limits, now=now))
        except InvalidEvent as error:
            check_size(body, self.limits.max_event_bytes)
            if reason := bodies.malformed(body):
                raise Malformed([Problem("", f"not valid JSON: {reason}")]) from error
            if b'"eventTime"' in body and b'"producer"' in body:
                raise InvalidEvent([_LINEAGE, *error.problems]) from error
            if b'"prefect.resource.id"' in body and b'"occurred"' in body:
                raise InvalidEvent([_PREFECT, *error.problems]) from error
            raise

    def own(self, event: WireEvent, *, proposed: bool = False) -> WireEvent:
        """Put an event into the caller's workspace.

        Raises InvalidEvent when it names somebody else's, or takes an id that the plane gives to its changes of runs:
        whoever had posted it before could keep a run from being cancelled. Only what is `proposed` may have one. Nor
        may it be the change of a run with a number so high that none could follow.
        """
        if not proposed and _CHANGE_ID.fullmatch(event.id):
            raise InvalidEvent([Problem("id", "ids of this form are for changes of runs that the plane decides")])
        if event.type.startswith(_RUNS) and _is_beyond(event):
            raise InvalidEvent([Problem("payload.seq", NO_SEQ)])
        if event.workspace == self._workspace:
            return event
        if event.workspace == DEFAULT_WORKSPACE:
            return msgspec.structs.replace(event, workspace=self._workspace)
        raise InvalidEvent([Problem("workspace", "is set by the server from the token; leave it out")])

    async def submit(self, events: list[WireEvent]) -> None:
        """Put up to a chunk of events on the log while the next is read; `settle` waits until they are on disk."""
        await self.settle()
        self._pending = asyncio.create_task(self._plane.gateway.submit(events))
        await asyncio.sleep(0)  # lets it start

    async def settle(self) -> None:
        """Wait until everything submitted is on disk. Raises LogUnavailable, LogFull, LogDamaged."""
        pending, self._pending = self._pending, None
        if pending is not None:
            self._add(await pending)

    async def write(self, events: list[WireEvent]) -> None:
        """Put events on the log, however many, and wait until they are on disk. Raises as `settle` does."""
        for start in range(0, len(events), CHUNK_EVENTS):
            self._add(await self._plane.gateway.submit(events[start : start + CHUNK_EVENTS]))

    def _add(self, done: Accepted) -> None:
        self.accepted += done.accepted
        self.duplicates += done.duplicates
        self.first = done.first if self.first is None else self.first
        self.last = done.last if done.last is not None else self.last
        self._plane.metrics.events_accepted.inc(done.accepted)
        self._plane.metrics.events_duplicate.inc(done.duplicates)

    async def abandon(self) -> None:
        """Wait for what is under way after something else went wrong, so that its outcome is counted."""
        try:
            await self.settle()
        except (LogUnavailable, LogFull, LogDamaged, LogRefused):
            pass  # the client hears of the first failure; ids make sending everything again harmless

    def refused(self, error: ApiProblem, events: int) -> ApiProblem:
        """Complete an answer: how many events are refused for good, and how many were taken before."""
        self._plane.metrics.events_refused.labels(error.slug).inc(events)
        if self.accepted or self.duplicates:
            error.extra |= self.result()
            error.detail += (
                f" {self.accepted + self.duplicates:,} events before it are on the log; "
                "send the rest again, or everything: a repeated id counts once."
            )
        return error


async def take(intake: Intake, events: list[WireEvent]) -> dict[str, int | None]:
    """Put events on the log and tell what became of them, or raise ApiProblem saying so."""
    try:
        await intake.write(events)
    except (LogUnavailable, LogFull, LogDamaged, LogRefused) as error:
        raise intake.refused(problems.from_log_error(error), 0) from error
    return intake.result()


async def read_lines(intake: Intake, source: AsyncIterator[bytes], max_line_bytes: int) -> dict[str, int | None]:
    """Read NDJSON as it comes and put it on the log chunk by chunk, so that memory stays bounded.

    A chunk is taken whole or not at all. Raises ApiProblem for the first chunk with bad lines, telling what was taken
    before it.
    """
    reader = _Lines(intake)
    try:
        try:
            async for found in bodies.lines(source, max_line_bytes):
                await reader.read(found)
        except bodies.LineTooLong:
            reader.too_long(max_line_bytes)
        await reader.flush()
        await intake.settle()
    except ApiProblem as problem:
        await intake.abandon()
        raise intake.refused(problem, reader.held) from problem
    except (LogUnavailable, LogFull, LogDamaged, LogRefused) as error:
        raise intake.refused(problems.from_log_error(error), 0) from error
    finally:
        await intake.abandon()
    return intake.result()


class _Lines:
    """One chunk of NDJSON at a time."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._number = 0
        self._bytes = 0
        self._events: list[WireEvent] = []
        self._problems: list[Problem] = []
        #: Lines of the chunk that is being read.
        self.held = 0

    async def read(self, found: Iterable[bytes]) -> None:
        now = datetime.now(UTC)
        for line in found:
            self._number += 1
            if not line or line.isspace():
                continue
            self.held += 1
            self._bytes += len(line)
            try:
                self._events.append(self._intake.parse(line, now))
            except InvalidEvent as error:
                self._problems += at(self._number, error.problems)
            if self.held >= CHUNK_EVENTS or self._bytes >= CHUNK_BYTES or len(self._problems) >= problems.MAX_LISTED:
                await self.flush()
            if len(line) > _LONG_LINE_BYTES:
                await asyncio.sleep(0)  # others are served in between
        await asyncio.sleep(0)

    def too_long(self, max_bytes: int) -> None:
        self.held += 1
        self._problems += at(self._number + 1, [Problem("", f"a line of more than {max_bytes:,} bytes")])

    async def flush(self) -> None:
        """Submit the chunk, or raise ApiProblem when it holds bad lines."""
        if self._problems:
            bad = list(dict.fromkeys(problem.field.partition(".")[0] for problem in self._problems))
            named = ", ".join(bad[:_MAX_NAMED]) + (
                f" and {len(bad) - _MAX_NAMED:,} more" if len(bad) > _MAX_NAMED else ""
            )
            detail = f"Line {named} is refused" if len(bad) == 1 else f"Lines {named} are refused"
            detail += f"; nothing from line {self._number - self.held + 1:,} on is taken."
            raise problems.invalid("invalid-event", detail, self._problems)
        if self._events:
            await self._intake.submit(self._events)
        self._events, self.held, self._bytes = [], 0, 0


def _is_beyond(event: WireEvent) -> bool:
    """Tell whether the change of a run has a number that no run reaches."""
    if b'"seq"' not in bytes(event.payload):
        return False
    payload = event.payload_object()
    seq = payload.get("seq") if isinstance(payload, dict) else None
    return type(seq) is int and seq > run_states.MAX_SEQ


def check_size(body: bytes, most: int) -> None:
    """Raise TooLarge for an event of more bytes."""
    if len(body) > most:
        message = f"an event of {len(body):,} bytes; at most {most:,} are taken: send large data by reference"
        raise TooLarge([Problem("", message)])


def decode(body: bytes, most: int) -> Any:
    """Decode an event of another format, of at most so many bytes. Raises TooLarge, Malformed."""
    check_size(body, most)
    try:
        return bodies.decode_json(body)
    except bodies.NotJson as error:
        raise Malformed([Problem("", f"not valid JSON: {error}")]) from error


def at(place: int, found: Iterable[Problem]) -> list[Problem]:
    """Put an event's place in the request before the fields of its problems."""
    return [Problem(f"{place}.{entry.field}".rstrip("."), entry.message) for entry in found]


def why(error: InvalidEvent) -> ApiProblem:
    """Choose the answer for a body that is no event: not JSON at all, too large, or wrong in some fields."""
    if isinstance(error, Malformed):
        return ApiProblem(400, "malformed-json", f"The body is {error}.", problems=error.problems)
    if isinstance(error, TooLarge):
        return ApiProblem(413, "event-too-large", f"The body is {error}.", problems=error.problems)
    return problems.invalid("invalid-event", "The event is refused.", error.problems)
