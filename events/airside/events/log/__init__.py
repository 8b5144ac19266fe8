"""The event log on JetStream: append, read, follow."""

from airside.events.log.batch import Appended, Batch, Head, Poison
from airside.events.log.connection import connect
from airside.events.log.log import Log
from airside.events.log.reader import Reader
from airside.events.log.receiving import ReaderClient
from airside.events.log.writer import Outgoing, outgoing, outgoing_control

__all__ = [
    "Appended",
    "Batch",
    "Head",
    "Log",
    "Outgoing",
    "Poison",
    "Reader",
    "ReaderClient",
    "connect",
    "outgoing",
    "outgoing_control",
]
