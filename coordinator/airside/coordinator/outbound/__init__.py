"""Requests from the plane to the outside: only to public addresses, unless the operator allows more."""

from airside.coordinator.outbound.addresses import AllowList, InvalidAllowList, is_public
from airside.coordinator.outbound.client import (
    GuardedClient,
    OutboundError,
    Reply,
    RequestFailed,
    TargetRefused,
    shown,
)
from airside.coordinator.outbound.settings import OutboundSettings

__all__ = [
    "AllowList",
    "GuardedClient",
    "InvalidAllowList",
    "OutboundError",
    "OutboundSettings",
    "Reply",
    "RequestFailed",
    "TargetRefused",
    "is_public",
    "shown",
]
