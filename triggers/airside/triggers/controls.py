"""What the log says of automations: control records, read."""

from typing import Any, Final

import msgspec

from airside.events import vocabulary
from airside.events.wire import WireEvent
from airside.triggers.model import Automation

INSTALLS: Final = frozenset({vocabulary.AUTOMATION_CREATED, vocabulary.AUTOMATION_UPDATED})
CONTROLS: Final = INSTALLS | {
    vocabulary.AUTOMATION_ENABLED,
    vocabulary.AUTOMATION_DISABLED,
    vocabulary.AUTOMATION_DELETED,
}


class Control(msgspec.Struct):
    """The payload of a control record."""

    name: str
    revision: int
    document: Any = None

    def automation(self) -> Automation:
        """Read the automation that is created or revised. Raises ValueError, of which a ValidationError is one."""
        automation = Automation.from_document(self.document)
        if automation.name != self.name:
            raise ValueError(f"the document is of {automation.name}")
        return automation


_decode = msgspec.json.Decoder(Control).decode


def read(event: WireEvent) -> Control:
    """Read a control record. Raises msgspec.MsgspecError."""
    return _decode(event.payload)


def name_in(event: WireEvent) -> str:
    """Give the automation's name as the record's resource says it, for a record that cannot be read."""
    return event.resource.id.removeprefix("automation://")
