"""What the plane itself wrote on the log: changes of automations, firings, what actions did.

Only subjects that nobody else can write to are read this way; the same type on another subject is just an event.
"""

from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from airside.events import Record, vocabulary

Moment: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]  # what fits a BIGINT


class Unfoldable(Exception):
    """The entry cannot be folded; the message says why."""


class Document(msgspec.Struct, frozen=True):
    """What the views show of an automation's document."""

    enabled: bool = True
    severity: str | None = "medium"
    description: str | None = None


class AutomationWritten(msgspec.Struct, frozen=True):
    """Payload of `automation.created` and `automation.updated`."""

    name: str
    revision: Count
    document: msgspec.Raw


class AutomationSwitched(msgspec.Struct, frozen=True):
    """Payload of `automation.enabled`, `automation.disabled` and `automation.deleted`."""

    name: str
    revision: Count


class FiringAction(msgspec.Struct, frozen=True):
    """One of a firing's actions, as far as the views show it."""

    kind: str


class FiringDecided(msgspec.Struct, frozen=True):
    """Payload of `automation.triggered` and `automation.resolved`."""

    id: str
    outcome: Literal["triggered", "resolved"]
    automation: str
    revision: Count
    key: msgspec.Raw
    window: msgspec.Raw
    time: Moment
    position: Count
    decided: Moment
    events: msgspec.Raw
    event_count: Count
    reason: str
    clause: msgspec.Raw
    actions: msgspec.Raw
    severity: str | None = None
    late_by: float | None = None
    resolves: str | None = None

    def listed_actions(self) -> list[FiringAction]:
        """Decode the actions."""
        return _actions.decode(self.actions)


class ActionDone(msgspec.Struct, frozen=True):
    """Payload of `action.succeeded`, `action.failed` and `action.retried`."""

    action: str
    index: Count
    firing: str
    automation: str
    attempt: Count
    result: dict[str, Any] | None = None
    error: str | None = None


Own: TypeAlias = AutomationWritten | AutomationSwitched | FiringDecided | ActionDone

_actions = msgspec.json.Decoder(list[FiringAction])
_document = msgspec.json.Decoder(Document)

_written = msgspec.json.Decoder(AutomationWritten)
_switched = msgspec.json.Decoder(AutomationSwitched)
_decided = msgspec.json.Decoder(FiringDecided)
_done = msgspec.json.Decoder(ActionDone)

#: By the subject's first token and the type.
_READERS: Final[dict[tuple[str, str], msgspec.json.Decoder[Any]]] = {
    ("ctl", vocabulary.AUTOMATION_CREATED): _written,
    ("ctl", vocabulary.AUTOMATION_UPDATED): _written,
    ("ctl", vocabulary.AUTOMATION_ENABLED): _switched,
    ("ctl", vocabulary.AUTOMATION_DISABLED): _switched,
    ("ctl", vocabulary.AUTOMATION_DELETED): _switched,
    ("fire", vocabulary.AUTOMATION_TRIGGERED): _decided,
    ("fire", vocabulary.AUTOMATION_RESOLVED): _decided,
    ("act", vocabulary.ACTION_SUCCEEDED): _done,
    ("act", vocabulary.ACTION_FAILED): _done,
    ("act", vocabulary.ACTION_RETRIED): _done,
}


def read(record: Record) -> Own | None:
    """Decode what the plane wrote for itself to read; None for every other entry. Raises Unfoldable."""
    reader = _READERS.get((record.subject.partition(".")[0], record.event.type))
    if reader is None:
        return None
    try:
        own: Own = reader.decode(record.event.payload)
        if isinstance(own, FiringDecided):
            own.listed_actions()
        elif isinstance(own, AutomationWritten):
            document(own)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Unfoldable(f"payload of {record.event.type}: {error}") from error
    return own


def document(written: AutomationWritten) -> Document:
    """Decode what the views show of the document."""
    return _document.decode(written.document)
