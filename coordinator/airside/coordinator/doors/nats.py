"""Events by NATS: a request on `airside.in.<workspace>`, answered once they are on disk.

The body is what `POST /api/events` takes: one event or a JSON list; with a header `content-type` of
`application/cloudevents+json` (or `-batch+json`) or headers `ce-…`, CloudEvents in their NATS binding. So is the
answer: `{accepted, duplicates, first, last}`, or a problem document with its `status`. A message that asks for no
answer is taken as well, and its sender learns nothing.

Who may write to the subject may post to the workspace: NATS itself says who that is.
"""

import logging
import re
from collections.abc import Mapping
from typing import Any, Final

import orjson
from faststream.nats import NatsBroker
from faststream.nats.annotations import NatsMessage
from nats.errors import Error as NatsError

from airside.coordinator.api import forms, problems
from airside.coordinator.api.intake import Intake, take
from airside.coordinator.api.plane import Plane
from airside.coordinator.api.problems import ApiProblem
from airside.events import cloudevents
from airside.events.model import is_workspace
from airside.events.wire import WireEvent

SUBJECT: Final = "airside.in"
#: Coordinators share the work: each request goes to one of them.
_QUEUE: Final = "airside-in"
_AT_ONCE: Final = 32
#: Inboxes of clients. The coordinator's own are elsewhere: see `airside.events.log.connection`.
_INBOX: Final = re.compile(r"_INBOX[A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+){1,8}")
_log = logging.getLogger("airside.doors")


class NatsDoor:
    """Takes events for every workspace, for as long as it is open. `broker` is connected already."""

    def __init__(self, broker: NatsBroker, plane: Plane) -> None:
        self._plane = plane
        self._subscriber = broker.subscriber(
            f"{SUBJECT}.*",
            queue=_QUEUE,
            max_workers=_AT_ONCE,
            no_reply=True,  # FastStream would answer anywhere
            decoder=_undecoded,
            title="ingest",
            description="Events for a workspace: one, a list, or CloudEvents. Answered once they are on disk.",
        )
        self._subscriber(self._receive)

    async def start(self) -> None:
        """Open the door."""
        await self._subscriber.start()

    async def stop(self) -> None:
        """Close it; what is being taken is finished."""
        try:
            await self._subscriber.stop()
        except NatsError:
            pass  # the connection may be gone already

    async def _receive(self, body: bytes, message: NatsMessage) -> None:
        answer = await self._answer(body, message)
        if _may_answer(message.reply_to):
            await message.raw_message.respond(answer)
        elif message.reply_to:
            _log.warning("a request on %s asked for its answer where no answers go", message.raw_message.subject)

    async def _answer(self, body: bytes, message: NatsMessage) -> bytes:
        subject = message.raw_message.subject
        try:
            workspace = subject.removeprefix(f"{SUBJECT}.")
            if not is_workspace(workspace):
                raise problems.not_found(f"`{workspace[:40]}` cannot be a workspace")
            intake = Intake(self._plane, workspace)
            events = await _read(intake, message.headers, body)
            return orjson.dumps(await take(intake, events))
        except ApiProblem as problem:
            if not message.reply_to:
                _log.warning("events on %s are refused and nobody asked for an answer: %s", subject, problem.slug)
            return bytes(problems.render(problem).body)
        except Exception:  # noqa: BLE001 - the sender gets an answer whatever happens
            return bytes(problems.unexpected(subject).body)


def _may_answer(subject: str) -> bool:
    """Tell whether this is an inbox. We may write anywhere; a sender must not choose the log, or a store."""
    return _INBOX.fullmatch(subject) is not None


async def _read(intake: Intake, headers: Mapping[str, str], body: bytes) -> list[WireEvent]:
    names = {name.lower(): value for name, value in headers.items()}
    kind = names.get("content-type", "").partition(";")[0].strip().lower()
    if kind == forms.BATCH:
        return await forms.read_batch(intake, body)
    if cloudevents.is_cloudevent(names):
        return forms.read_cloudevent(intake, names, body)
    if kind in ("", "application/json"):
        return await forms.read_json(intake, body)
    raise ApiProblem(415, "unsupported-media-type", f"{kind[:100]} is not taken; send JSON or CloudEvents")


async def _undecoded(message: Any) -> bytes:
    """Leave the body as it is: what is wrong in it is told field by field."""
    return bytes(message.body)
