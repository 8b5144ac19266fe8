"""Lengths of time as rules write them; the same as everywhere else."""

from airside.events.durations import (
    DAY,
    HOUR,
    MAX_DURATION,
    MILLISECOND,
    MINUTE,
    SECOND,
    Duration,
    parse,
    show,
)

__all__ = ["DAY", "HOUR", "MAX_DURATION", "MILLISECOND", "MINUTE", "SECOND", "Duration", "parse", "show"]
