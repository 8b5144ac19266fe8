"""What sending events can come to. `http` and `nats` are the two ways."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from airside.sdk.emitting.settings import EmitSettings


@dataclass(frozen=True, slots=True)
class Delivered:
    """All are on the server's disk."""

    duplicates: int = 0


@dataclass(frozen=True, slots=True)
class Rejected:
    """The server will never take these as they are, and took none of them.

    `reasons` names those that are wrong by their index, as far as the server did.
    """

    reason: str
    status: int = 0
    reasons: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Away:
    """Nothing is known of the events; send them again, not before `retry_after_seconds`."""

    reason: str
    retry_after_seconds: float = 0.0


Outcome: TypeAlias = Delivered | Rejected | Away


class Transport(Protocol):
    """One way to the server; used by one thread at a time."""

    def send(self, lines: Sequence[bytes]) -> Outcome:
        """Send events, each a line of JSON. Never raises."""
        ...

    def rest(self) -> None:
        """Nothing is to be sent for a while."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


def choose(settings: EmitSettings) -> Transport:
    """Make the transport that the URL asks for."""
    if settings.speaks_nats:
        from airside.sdk.emitting.nats import NatsTransport  # noqa: PLC0415 - each costs 100 ms or more

        return NatsTransport(settings)
    from airside.sdk.emitting.http import HttpTransport  # noqa: PLC0415

    return HttpTransport(settings)
