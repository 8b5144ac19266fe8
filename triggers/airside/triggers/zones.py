"""Time zones from the pinned tzdata package, never from the machine; local times to instants.

In a DST gap the first valid instant counts, in an overlap the first occurrence. A date that a zone left out
altogether (Apia, 30 December 2011) has no instants.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib import resources
from typing import Final
from zoneinfo import ZoneInfo

import tzdata

from airside.events import wall_clock
from airside.events.wire import Micros, to_micros

TZDATA_VERSION: Final = tzdata.IANA_VERSION
_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1)


@cache
def zone(name: str) -> ZoneInfo:
    """Load a zone. Raises ValueError for a name that is none."""
    wall_clock.check_zone(name)
    *folders, file = name.split("/")
    with resources.files("tzdata.zoneinfo").joinpath(*folders, file).open("rb") as data:
        return ZoneInfo.from_file(data, key=name)


def local(moment: Micros, tz: ZoneInfo) -> datetime:
    """Give the wall-clock time, without zone, that a moment has in the zone."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment)).astimezone(tz).replace(tzinfo=None)


def instant(day: date, at: time, tz: ZoneInfo) -> Micros | None:
    """Resolve a local time to its moment, or None when the zone never had that date."""
    wall = datetime.combine(day, at, tzinfo=tz)
    moment = wall.astimezone(UTC)
    if moment.astimezone(tz).replace(tzinfo=None) == wall.replace(tzinfo=None):
        return to_micros(moment)
    earliest, latest = (_utc(wall.replace(fold=1)), _utc(wall.replace(fold=0)))
    jump = _jump(earliest, latest, tz)
    before, after = wall.replace(tzinfo=None) - latest, wall.replace(tzinfo=None) - earliest
    midnight = datetime.combine(day, time())
    if jump + before <= midnight and jump + after >= midnight + _DAY:
        return None
    return to_micros(jump.replace(tzinfo=UTC))


def _utc(wall: datetime) -> datetime:
    return wall.astimezone(UTC).replace(tzinfo=None)


def _jump(low: datetime, high: datetime, tz: ZoneInfo) -> datetime:
    """Find the moment (UTC, without zone) between the two at which the zone's offset changes."""
    first = low.replace(tzinfo=UTC).astimezone(tz).utcoffset()
    while high - low > _MICROSECOND:
        middle = low + (high - low) / 2
        if middle.replace(tzinfo=UTC).astimezone(tz).utcoffset() == first:
            low = middle
        else:
            high = middle
    return high
