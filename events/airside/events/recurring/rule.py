"""The moments of a rule on a wall clock, in order. Pure; each look is bounded in days and in steps."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice
from typing import Final

from airside.events.recurring import days
from airside.events.recurring.reading import Parts, read

#: Where a rule begins that is given no anchor.
DEFAULT_ANCHOR: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - a wall clock's
_FIRST_YEAR, _LAST_YEAR = 1900, 2200
#: Nothing is looked for beyond this (50 years), nor on more days and hours than so many: 0.1 s at most.
_HORIZON: Final = timedelta(days=18_263)
_MAX_STEPS: Final = 5_000
NEVER: Final = "comes never, or too seldom to be found"
_INSTANT: Final = timedelta(microseconds=1)


class _TooFar(Exception):
    """Nothing was found as far as is looked."""


class _Steps:
    """How far may still be looked."""

    def __init__(self, since: datetime) -> None:
        self.begin(since)

    def begin(self, since: datetime) -> None:
        """Look as far again, from here on."""
        self._left = _MAX_STEPS
        self._until = since + _HORIZON

    def take(self, at: date) -> None:
        self._left -= 1
        if self._left < 0 or at > self._until.date():
            raise _TooFar


class Rule:
    """A rule with its beginning. Raises ValueError when nothing comes of it."""

    def __init__(self, parts: Parts, anchor: datetime) -> None:
        if not _FIRST_YEAR <= anchor.year <= _LAST_YEAR:
            raise ValueError(f"`anchor` must be between {_FIRST_YEAR} and {_LAST_YEAR}")
        self._start = anchor.replace(microsecond=0)
        self._parts = _completed(parts, self._start)
        self._days = days.Days(self._parts)
        self._counted: tuple[datetime, ...] | None = None
        self.until = parts.until
        if parts.count is not None:
            self._counted = self._first(parts.count)
        elif next(self.after(self._start - _INSTANT), None) is None:
            raise ValueError(NEVER)

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Give the times later than this one, in order. All are wall-clock times, without zone.

        An UNTIL with a zone is not looked at: that is for whoever knows the zone.
        """
        if self._counted is not None:
            yield from (found for found in self._counted if found > moment)
            return
        last = self.until if self.until is not None and self.until.tzinfo is None else None
        steps = _Steps(max(moment, self._start))
        walk = self._walk(moment, steps.take)
        while True:
            try:
                found = next(walk, None)
            except (_TooFar, OverflowError):  # or the calendar's last year
                return
            if found is None or (last is not None and found > last):
                return
            yield found
            steps.begin(found)

    def _first(self, count: int) -> tuple[datetime, ...]:
        steps = _Steps(self._start)
        try:
            return tuple(islice(self._walk(self._start - _INSTANT, steps.take), count))
        except (_TooFar, OverflowError):
            raise ValueError(f"{NEVER}, or COUNT reaches beyond that; say UNTIL in its place") from None

    def _walk(self, moment: datetime, step: "days.Step") -> Iterator[datetime]:
        low = max(moment, self._start - _INSTANT)
        within = self._times_of_days(low, step) if self._parts.frequency in ("HOURLY", "MINUTELY") else None
        for found in self._days_of_periods(low, step) if within is None else within:
            if found > low:
                yield found

    def _days_of_periods(self, low: datetime, step: "days.Step") -> Iterator[datetime]:
        """Walk years, months, weeks or days, from the one that holds `low`."""
        times = [
            time(hour, minute, second)
            for hour in self._parts.hours
            for minute in self._parts.minutes
            for second in self._parts.seconds
        ]
        for first, end in days.periods(self._parts, self._start.date(), max(low, self._start).date()):
            found = self._days.between(first, end, step)
            yield from self._chosen(found, times) if self._parts.positions else _all(found, times)

    def _times_of_days(self, low: datetime, step: "days.Step") -> Iterator[datetime]:
        """Walk hours or minutes, over days and hours that are not meant."""
        parts, minutely = self._parts, self._parts.frequency == "MINUTELY"
        origin = self._start.replace(second=0) if minutely else self._start.replace(minute=0, second=0)
        stride = parts.interval * timedelta(**{"minutes" if minutely else "hours": 1})
        at = origin + max((low - origin) // stride, 0) * stride
        while True:
            step(at.date())
            beyond = None
            if not self._days.matches(at.date()):
                beyond = datetime.combine(self._days.beyond(at.date()), time())
            elif parts.hours and at.hour not in parts.hours:
                beyond = at.replace(minute=0) + timedelta(hours=1)
            elif minutely and parts.minutes and at.minute not in parts.minutes:
                beyond = at + _INSTANT
            if beyond is not None:
                at = origin - ((origin - beyond) // stride) * stride  # rounded up to one of its own
                continue
            minutes = (at.minute,) if minutely else parts.minutes
            times = [time(at.hour, minute, second) for minute in minutes for second in parts.seconds]
            yield from self._chosen([at.date()], times) if parts.positions else _all([at.date()], times)
            at += stride

    def _chosen(self, found: Iterable[date], times: list[time]) -> Iterator[datetime]:
        """Give those of a period whose places BYSETPOS names."""
        those = list(found)
        if not those:
            return
        total = len(those) * len(times)
        places = sorted({place - 1 if place > 0 else total + place for place in self._parts.positions})
        for place in places:
            if 0 <= place < total:
                yield datetime.combine(those[place // len(times)], times[place % len(times)])


@lru_cache(maxsize=4_096)
def rule(text: str, anchor: datetime | None) -> Rule:
    """Make a rule of its text and its beginning, a wall-clock time. Raises ValueError."""
    parts = read(text)
    if anchor is None and parts.needs_anchor:
        raise ValueError(
            "needs an `anchor`, the local time of its first run: INTERVAL, COUNT and days count from there"
        )
    return Rule(parts, anchor or DEFAULT_ANCHOR)


def _all(found: Iterable[date], times: list[time]) -> Iterator[datetime]:
    return (datetime.combine(day, at) for day in found for at in times)


def _completed(parts: Parts, start: datetime) -> Parts:
    """Take from the beginning what the rule leaves out."""
    frequency, names = parts.frequency, parts.names_days
    if frequency == "YEARLY" and not names:
        parts = replace(parts, months=parts.months or frozenset({start.month}), month_days=frozenset({start.day}))
    if frequency == "MONTHLY" and not names:
        parts = replace(parts, month_days=frozenset({start.day}))
    if frequency == "WEEKLY" and not names:
        parts = replace(parts, weekdays=frozenset({start.weekday()}))
    hours = () if frequency in ("HOURLY", "MINUTELY") else (start.hour,)
    minutes = () if frequency == "MINUTELY" else (start.minute,)
    return replace(
        parts,
        hours=parts.hours or hours,
        minutes=parts.minutes or minutes,
        seconds=parts.seconds or (start.second,),
    )
