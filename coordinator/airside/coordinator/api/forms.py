"""Bodies that hold events, however they came: JSON, and CloudEvents in their three modes."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from airside.coordinator.api import bodies, problems
from airside.coordinator.api.intake import Intake, Malformed, TooLarge, decode, why
from airside.coordinator.api.lists import is_list, read_list, read_one
from airside.events import cloudevents
from airside.events.exceptions import InvalidEvent
from airside.events.wire import WireEvent

BATCH: Final = "application/cloudevents-batch+json"


async def read_json(intake: Intake, body: bytes) -> list[WireEvent]:
    """Read one event or a list of them. Raises ApiProblem."""
    now = datetime.now(UTC)
    return await (read_list if is_list(body) else read_one)(intake, body, lambda part: [intake.parse(part, now)])


async def read_batch(intake: Intake, body: bytes) -> list[WireEvent]:
    """Read a CloudEvents batch. Raises ApiProblem."""
    now = datetime.now(UTC)

    def read(part: bytes) -> list[WireEvent]:
        data = decode(part, intake.limits.max_event_bytes)
        return [intake.own(cloudevents.from_cloudevent(data, intake.limits, now=now))]

    return await read_list(intake, body, read)


def read_cloudevent(intake: Intake, headers: Mapping[str, str], body: bytes) -> list[WireEvent]:
    """Read a CloudEvent in structured or binary mode. Raises ApiProblem."""
    limits = intake.limits
    try:
        return [intake.own(event) for event in cloudevents.parse_http(headers, body, limits)]
    except InvalidEvent as error:
        fields = {entry.field for entry in error.problems}
        if "content-type" in fields:
            problem = problems.ApiProblem(415, "unsupported-media-type", str(error), problems=error.problems)
        elif len(body) > limits.max_event_bytes:
            problem = why(TooLarge(error.problems))
        elif fields == {""} and bodies.malformed(body):
            problem = why(Malformed(error.problems))
        else:
            problem = why(error)
        raise intake.refused(problem, 1) from error
