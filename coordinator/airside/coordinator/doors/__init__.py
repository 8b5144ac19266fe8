"""Ways for events to come in beside HTTP."""

from airside.coordinator.doors.nats import SUBJECT, NatsDoor

__all__ = ["SUBJECT", "NatsDoor"]
