"""JSON lists of events, whatever form the events have: cut up, read beside the event loop, all good or none taken."""

import re
from collections.abc import Callable
from typing import Final, TypeAlias

from airside.coordinator.api import elements, problems
from airside.coordinator.api.aside import aside
from airside.coordinator.api.intake import Intake, Malformed, at, why
from airside.coordinator.api.problems import ApiProblem
from airside.events import validation
from airside.events.exceptions import InvalidEvent, Problem
from airside.events.limits import Limits
from airside.events.wire import WireEvent

#: Reads one element. Raises InvalidEvent.
Read: TypeAlias = Callable[[bytes], list[WireEvent]]

_SPACE = re.compile(rb"[ \t\r\n]*")
#: What events may weigh together in memory, beside their body: one body can name the same long things many times.
_MAX_WEIGHT: Final = 256 * 2**20
_EVENT_WEIGHT: Final = 1_024
_RELATED_WEIGHT: Final = 512


class _Refused(Exception):
    """The list is refused; so many events are."""

    def __init__(self, problem: ApiProblem, events: int) -> None:
        self.problem = problem
        self.events = events
        super().__init__(problem.detail)


def is_list(body: bytes) -> bool:
    """Tell whether a body begins like a JSON list."""
    start = _SPACE.match(body)
    return start is not None and body[start.end() : start.end() + 1] == b"["


async def read_list(intake: Intake, body: bytes, read: Read) -> list[WireEvent]:
    """Read a list, each element with `read`. Raises ApiProblem, naming the first hundred problems."""
    try:
        return await aside(len(body), _read, body, read, intake.limits)
    except _Refused as refused:
        raise intake.refused(refused.problem, refused.events) from refused


async def read_one(intake: Intake, body: bytes, read: Read) -> list[WireEvent]:
    """Read a body that is one element. Raises ApiProblem."""
    try:
        return await aside(len(body), read, body)
    except InvalidEvent as error:
        raise intake.refused(why(error), 1) from error


def _read(body: bytes, read: Read, limits: Limits) -> list[WireEvent]:
    most = limits.max_list_events
    if elements.more_than(body, most):
        raise _Refused(_too_many(f"The list has more than {most:,} elements"), 1)
    try:
        parts = validation.split_array(body)
    except InvalidEvent as error:
        raise _Refused(why(Malformed(error.problems)), 1) from error
    events: list[WireEvent] = []
    found: list[Problem] = []
    bad = weight = 0
    for index, part in enumerate(parts):
        try:
            made = read(part)
        except InvalidEvent as error:
            bad += 1
            found += at(index, error.problems)
            if len(found) >= problems.MAX_LISTED:
                break
            continue
        if not found:
            events += made
            weight += sum(map(_weight, made))
            if len(events) > most or weight > _MAX_WEIGHT:
                raise _Refused(_too_many(f"The first {index + 1:,} elements make too many or too large events"), 1)
    if found:
        raise _Refused(_refusal(bad, len(parts), index + 1, found), len(parts))
    return events


def _refusal(bad: int, count: int, seen: int, found: list[Problem]) -> ApiProblem:
    of = f"{count:,} events" if seen == count else f"the first {seen:,} of {count:,} events"
    detail = f"{bad:,} of {of} are refused, so none is taken; fields begin with the list's index."
    return problems.invalid("invalid-event", detail, found)


def _too_many(what: str) -> ApiProblem:
    detail = f"{what}. Send them in several requests, or as NDJSON, which has no end."
    return ApiProblem(413, "too-many-events", detail)


def _weight(event: WireEvent) -> int:
    return memoryview(event.payload).nbytes + _EVENT_WEIGHT + _RELATED_WEIGHT * len(event.related)
