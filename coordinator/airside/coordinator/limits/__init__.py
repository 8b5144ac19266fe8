"""Concurrency and rate limits that whole teams of processes share.

book    what a limit is, and each step on it as a pure function
desk    the steps of one limit, done in order on the broker's copy, whoever else works on it
store   all limits: watched, and leases taken back whose holders are gone
"""

from airside.coordinator.limits.book import (
    Entry,
    LeaseLost,
    Limit,
    Limits,
    LimitsUnavailable,
    LimitUnknown,
    QueueFull,
    Rate,
    TooMany,
    Wanted,
)
from airside.coordinator.limits.store import LimitStore

__all__ = [
    "Entry",
    "LeaseLost",
    "Limit",
    "LimitStore",
    "LimitUnknown",
    "Limits",
    "LimitsUnavailable",
    "QueueFull",
    "Rate",
    "TooMany",
    "Wanted",
]
