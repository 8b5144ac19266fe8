"""Which days a rule means, and the years, months, weeks and days that it counts. Pure."""

from calendar import monthrange
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import TypeAlias

from airside.events.recurring.reading import Parts

#: Called for each day that is looked at; raises when it was enough.
Step: TypeAlias = Callable[[date], object]
_DAY = timedelta(days=1)


class Days:
    """The days that a rule means, of all that there are."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._nth_in_year = parts.frequency == "YEARLY" and not parts.months

    def between(self, first: date, end: date, step: Step) -> Iterator[date]:
        """Give those from `first` up to the day before `end`."""
        day = first
        while day < end:
            step(day)
            if self.matches(day):
                yield day
            day = self.beyond(day)

    def beyond(self, day: date) -> date:
        """Give the next day that may be meant: months that are not are stepped over."""
        if self._parts.months and day.month not in self._parts.months:
            return date(day.year + day.month // 12, day.month % 12 + 1, 1)
        return day + _DAY

    def matches(self, day: date) -> bool:
        """Tell whether the rule means this day."""
        parts = self._parts
        if parts.months and day.month not in parts.months:
            return False
        if parts.month_days and not parts.month_days & {day.day, day.day - monthrange(day.year, day.month)[1] - 1}:
            return False
        if (parts.weekdays or parts.nth) and day.weekday() not in parts.weekdays and not self._is_nth(day):
            return False
        if parts.year_days and not parts.year_days & _places(day.timetuple().tm_yday, _length(day.year)):
            return False
        return not parts.weeks or bool(parts.weeks & _week(day, parts.week_start))

    def _is_nth(self, day: date) -> bool:
        if not self._parts.nth:
            return False
        if self._nth_in_year:
            place, length = day.timetuple().tm_yday, _length(day.year)
        else:
            place, length = day.day, monthrange(day.year, day.month)[1]
        which = {(place - 1) // 7 + 1, -((length - place) // 7 + 1)}
        return any((number, day.weekday()) in self._parts.nth for number in which)


def periods(parts: Parts, start: date, low: date) -> Iterator[tuple[date, date]]:
    """Give first day and end of each year, month, week or day that counts, from the last one not after `low`."""
    every = parts.interval
    if parts.frequency == "YEARLY":
        year = start.year + (low.year - start.year) // every * every
        while True:
            yield date(year, 1, 1), date(year + 1, 1, 1)
            year += every
    elif parts.frequency == "MONTHLY":
        first, wanted = start.year * 12 + start.month - 1, low.year * 12 + low.month - 1
        month = first + (wanted - first) // every * every
        while True:
            yield date(month // 12, month % 12 + 1, 1), date((month + 1) // 12, (month + 1) % 12 + 1, 1)
            month += every
    length = 7 if parts.frequency == "WEEKLY" else 1
    begin = start - _DAY * ((start.weekday() - parts.week_start) % 7) if length == 7 else start
    day = begin + _DAY * ((low - begin).days // (length * every) * length * every)
    while True:
        yield day, day + _DAY * length
        day += _DAY * length * every


def _length(year: int) -> int:
    return (date(year + 1, 1, 1) - date(year, 1, 1)).days


def _places(place: int, length: int) -> set[int]:
    """Count from the beginning and from the end."""
    return {place, place - length - 1}


def _week(day: date, week_start: int) -> set[int]:
    """Give the number of the day's week, from both ends of the year that the most of that week is in."""
    middle = day - _DAY * ((day.weekday() - week_start) % 7) + 3 * _DAY
    number = (middle.timetuple().tm_yday - 1) // 7 + 1
    last = date(middle.year, 12, 28)  # the last week holds it whatever day weeks begin with
    last_middle = last - _DAY * ((last.weekday() - week_start) % 7) + 3 * _DAY
    return _places(number, (last_middle.timetuple().tm_yday - 1) // 7 + 1)
