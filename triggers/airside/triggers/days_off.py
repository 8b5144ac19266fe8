"""Holidays: dates on which a calendar has no deadline, written as dates or as countries.

Countries are looked up once, when a file is read, and the dates go on the log with the rule: a replay decides the same
whatever the machine that replays knows of holidays. The dates end with 2049; later years want the file applied again.
"""

import re
from datetime import date
from functools import cache
from typing import Final

YEARS: Final = range(2020, 2050)
MAX_ENTRIES: Final = 1_000
_COUNTRY = re.compile(r"([A-Z]{2})(?:-([A-Z0-9]{1,6}))?")


def dates_of(entries: tuple[str, ...]) -> tuple[str, ...]:
    """Give all dates that the entries stand for, in order. Raises ValueError."""
    found: set[str] = set()
    for entry in entries:
        found |= _of_country(entry) if _COUNTRY.fullmatch(entry) else {check_date(entry)}
    return tuple(sorted(found))


def check_date(text: str) -> str:
    """Refuse what is no date of the calendar. Raises ValueError."""
    try:
        parsed = date.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is neither a country such as US, DE or US-NY nor a date such as 2026-12-24"
        ) from None
    return parsed.isoformat()


@cache
def _of_country(name: str) -> frozenset[str]:
    try:
        import holidays  # noqa: PLC0415 - an optional part
    except ModuleNotFoundError:
        raise ValueError(
            "holidays of countries need the extra `holidays` (pip install 'airside[holidays]'); or list the dates"
        ) from None
    country, _, part = name.partition("-")
    try:
        found = holidays.country_holidays(country, subdiv=part or None, years=YEARS)
    except NotImplementedError:
        raise ValueError(f"no holidays are known for {name!r}; list the dates") from None
    return frozenset(day.isoformat() for day in found)
