"""From a message of the stream to a record, or to a poison with its reason. A pure function of the message."""

from airside.events import stored
from airside.events.log.batch import Poison
from airside.events.stored import Stored
from airside.events.wire import Record


def interpret(entry: Stored) -> Record | Poison:
    """Decode one log entry. What is no event becomes a Poison, the same one on every reading."""
    try:
        return stored.record(entry)
    except stored.NotAnEvent as error:
        position, received, subject, data = entry
        return Poison(position, received, subject.decode(), data, str(error))
