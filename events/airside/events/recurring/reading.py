"""Reading the text of a rule. Pure."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time
from difflib import get_close_matches
from typing import Final

FREQUENCIES: Final = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY")
_WEEKDAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
#: What INTERVAL may be: all of these are ten years.
_LONGEST: Final = dict(zip(FREQUENCIES, (10, 120, 520, 3_650, 87_600, 5_256_000), strict=True))
MAX_COUNT: Final = 1_000
_MAX_ENTRIES: Final = 400
_DAY = re.compile(r"([+-]?\d{1,2})?(MO|TU|WE|TH|FR|SA|SU)")
_NUMBER = re.compile(r"[+-]?\d{1,7}")
_UNTIL = re.compile(r"(\d{8})(?:T(\d{6})(Z?))?")
#: The first and last number of each list, and whether they count from the end too.
_LISTS: Final = {
    "BYMONTH": (1, 12, False),
    "BYWEEKNO": (1, 53, True),
    "BYYEARDAY": (1, 366, True),
    "BYMONTHDAY": (1, 31, True),
    "BYHOUR": (0, 23, False),
    "BYMINUTE": (0, 59, False),
    "BYSECOND": (0, 59, False),
    "BYSETPOS": (1, 366, True),
}
_KNOWN: Final = ("FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY", *_LISTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a rule says. Weekdays are 0 (Monday) to 6; `nth` are pairs of which one and weekday, as (-1, 4)."""

    frequency: str
    interval: int = 1
    count: int | None = None
    #: Without zone it is a time on the rule's own clock, else a moment.
    until: datetime | None = None
    week_start: int = 0
    weekdays: frozenset[int] = frozenset()
    nth: frozenset[tuple[int, int]] = frozenset()
    months: frozenset[int] = frozenset()
    weeks: frozenset[int] = frozenset()
    year_days: frozenset[int] = frozenset()
    month_days: frozenset[int] = frozenset()
    hours: tuple[int, ...] = ()
    minutes: tuple[int, ...] = ()
    seconds: tuple[int, ...] = ()
    positions: tuple[int, ...] = ()

    @property
    def names_days(self) -> bool:
        """Tell whether the rule itself says which days it means."""
        return bool(self.weekdays or self.nth or self.weeks or self.year_days or self.month_days)

    @property
    def needs_anchor(self) -> bool:
        """Tell whether it takes a beginning to know what is meant."""
        days = self.names_days or self.frequency not in ("YEARLY", "MONTHLY", "WEEKLY")
        return self.interval > 1 or self.count is not None or not days


def read(text: str) -> Parts:
    """Read a rule, as `FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=18`. Raises ValueError saying what is wrong."""
    given = _given(text)
    frequency = given.pop("FREQ", "")
    if frequency == "SECONDLY":
        raise ValueError("FREQ=SECONDLY is not taken: at most once a minute; `every: 10s` comes more often")
    if frequency not in FREQUENCIES:
        raise ValueError(f"must have FREQ, one of {', '.join(FREQUENCIES)}, as FREQ=WEEKLY;BYDAY=MO,WE")
    interval = _number("INTERVAL", given.pop("INTERVAL", "1"), 1, _LONGEST[frequency], f" for {frequency}")
    count = _number("COUNT", given.pop("COUNT"), 1, MAX_COUNT) if "COUNT" in given else None
    until = _until(given.pop("UNTIL")) if "UNTIL" in given else None
    if count is not None and until is not None:
        raise ValueError("has COUNT and UNTIL; give one of them")
    week_start = given.pop("WKST", "MO")
    if week_start not in _WEEKDAYS:
        raise ValueError("WKST must be a weekday, as MO")
    weekdays, nth = _days(given.pop("BYDAY", ""))
    lists = {name: _numbers(name, given.get(name)) for name in _LISTS}
    found = Parts(
        frequency=frequency,
        interval=interval,
        count=count,
        until=until,
        week_start=_WEEKDAYS.index(week_start),
        weekdays=weekdays,
        nth=nth,
        months=frozenset(lists["BYMONTH"]),
        weeks=frozenset(lists["BYWEEKNO"]),
        year_days=frozenset(lists["BYYEARDAY"]),
        month_days=frozenset(lists["BYMONTHDAY"]),
        hours=lists["BYHOUR"],
        minutes=lists["BYMINUTE"],
        seconds=lists["BYSECOND"],
        positions=lists["BYSETPOS"],
    )
    _check(found)
    return found


def _given(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in text.strip().upper().removeprefix("RRULE:").split(";"):
        name, separator, value = part.strip().partition("=")
        if not separator or not value:
            raise ValueError(f"`{part[:40]}` must be NAME=VALUE; a rule is written as FREQ=WEEKLY;BYDAY=MO,WE")
        if name in ("DTSTART", "TZID"):
            raise ValueError(f"{name} is said beside it: `anchor` is the local time it begins at, `timezone` the zone")
        if name not in _KNOWN:
            close = get_close_matches(name[:40], _KNOWN, n=1)
            raise ValueError(f"has no part {name[:40]}; " + (f"did you mean {close[0]}?" if close else "see RFC 5545"))
        if name in found:
            raise ValueError(f"has {name} twice")
        found[name] = value.strip()
    return found


def _check(parts: Parts) -> None:
    """Refuse what RFC 5545 does not allow, and what would come oftener than once a minute."""
    if len(parts.seconds) > 1:
        raise ValueError("BYSECOND must be one number: at most once a minute")
    if parts.nth and parts.frequency not in ("YEARLY", "MONTHLY"):
        raise ValueError("BYDAY with a number, as 1MO, goes with FREQ=MONTHLY and FREQ=YEARLY")
    if parts.nth and parts.weeks:
        raise ValueError("BYDAY with a number does not go with BYWEEKNO")
    if parts.weeks and (parts.frequency != "YEARLY" or not parts.weekdays):
        raise ValueError("BYWEEKNO goes with FREQ=YEARLY and BYDAY")
    if parts.year_days and parts.frequency in ("MONTHLY", "WEEKLY", "DAILY"):
        raise ValueError("BYYEARDAY does not go with FREQ=MONTHLY, WEEKLY or DAILY")
    if parts.month_days and parts.frequency == "WEEKLY":
        raise ValueError("BYMONTHDAY does not go with FREQ=WEEKLY")


def _days(text: str) -> tuple[frozenset[int], frozenset[tuple[int, int]]]:
    weekdays, nth = set(), set()
    for entry in text.split(",") if text else []:
        found = _DAY.fullmatch(entry.strip())
        which = int(found[1]) if found and found[1] else None
        if found is None or which == 0 or (which and abs(which) > 53):
            raise ValueError(f"BYDAY: `{entry[:20]}` must be a weekday as MO, or 1MO, or -1FR")
        day = _WEEKDAYS.index(found[2])
        if which is None:
            weekdays.add(day)
        else:
            nth.add((which, day))
    return frozenset(weekdays), frozenset(nth)


def _numbers(name: str, text: str | None) -> tuple[int, ...]:
    if text is None:
        return ()
    low, high, from_end = _LISTS[name]
    entries = text.split(",")
    if len(entries) > _MAX_ENTRIES:
        raise ValueError(f"{name} has more than {_MAX_ENTRIES} numbers")
    found = set()
    for entry in entries:
        number = int(entry) if _NUMBER.fullmatch(entry.strip()) else None
        if number is None or not (low <= number <= high or (from_end and low <= -number <= high)):
            more = f", or -{high} to -{low}" if from_end else ""
            raise ValueError(f"{name}: `{entry[:20]}` must be a number from {low} to {high}{more}")
        found.add(number)
    return tuple(sorted(found))


def _number(name: str, text: str, low: int, high: int, when: str = "") -> int:
    if not _NUMBER.fullmatch(text) or not low <= int(text) <= high:
        raise ValueError(f"{name} must be a number from {low} to {high:,}{when}")
    return int(text)


def _until(text: str) -> datetime:
    """Read UNTIL: a date means that whole day."""
    found = _UNTIL.fullmatch(text)
    try:
        if found is None:
            raise ValueError(text)
        if found[2] is None:
            return datetime.combine(datetime.strptime(text, "%Y%m%d"), time(23, 59, 59))  # noqa: DTZ007 - wall clock
        moment = datetime.strptime(f"{found[1]}{found[2]}", "%Y%m%d%H%M%S")  # noqa: DTZ007 - a wall clock's
    except ValueError:
        raise ValueError("UNTIL must be as 20271231, 20271231T180000 (local) or 20271231T170000Z") from None
    return moment.replace(tzinfo=UTC) if found[3] else moment
