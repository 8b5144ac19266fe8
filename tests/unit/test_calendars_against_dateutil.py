"""Our calendar deadlines beside dateutil: its recurrence rules, its zones, its Easter.

dateutil brings zone files of its own, of the year 2024: the past is compared, and of the future what no law has
touched.
"""
# ruff: noqa: DTZ001  # wall-clock times have no zone, on purpose

from datetime import UTC, date, datetime, timedelta
from functools import cache

import pytest
from dateutil import rrule, tz
from dateutil.easter import easter
from dateutil.rrule import DAILY, FR, MO, MONTHLY, SA, SU, TH, TU, WE, WEEKLY, YEARLY
from dateutil.zoneinfo import get_zonefile_instance

from airside.events.wire import from_micros, to_micros
from airside.triggers import days_off
from airside.triggers.calendars import Calendar, Slots

ODD_ZONES = [
    "Africa/Casablanca",  # the clocks go back for Ramadan, by the moon
    "Africa/Monrovia",  # no changes
    "America/Caracas",  # half an hour, twice, and not for summer
    "America/Havana",  # changes at midnight
    "America/New_York",
    "America/Sao_Paulo",  # no midnight on the first day of summer
    "America/St_Johns",  # changed at one minute past midnight
    "Antarctica/Troll",  # two hours at once
    "Asia/Amman",
    "Asia/Gaza",
    "Asia/Kathmandu",  # a quarter of an hour, no changes
    "Asia/Pyongyang",
    "Asia/Tehran",  # changes at midnight, by the solar calendar
    "Australia/Lord_Howe",  # half an hour
    "Europe/Amsterdam",
    "Europe/Dublin",  # winter is the exception in its files
    "Europe/Istanbul",
    "Pacific/Apia",  # left out 30 December 2011
    "Pacific/Kanton",  # left out the last day of 1994
    "Pacific/Kwajalein",  # left out 21 August 1993
    "Pacific/Norfolk",
]
FROM, UNTIL = datetime(2010, 1, 1), datetime(2024, 1, 1)
EARLIER = {"Pacific/Kanton": datetime(1994, 6, 1), "Pacific/Kwajalein": datetime(1993, 6, 1)}
NO_CHANGES = {"Africa/Monrovia", "Asia/Kathmandu"}
#: Their files call winter (or Ramadan) the exception. dateutil then takes the wrong local hour for the one that comes
#: twice; what it says the local time of a moment is, is right.
NEGATIVE = {"Africa/Casablanca", "Europe/Dublin"}
MINUTE = timedelta(minutes=1)
HALF_HOUR = timedelta(minutes=30)


@cache
def zone(name):
    return get_zonefile_instance().get(name)


def searched(wall, of):
    """Find the first moment at which the local clock has reached the time, half an hour at a time."""
    begin = (wall - timedelta(hours=5)).replace(tzinfo=UTC)
    return next(
        at for number in range(24) if (at := begin + number * HALF_HOUR).astimezone(of).replace(tzinfo=None) >= wall
    )


def moment(wall, of):
    """Give the UTC moment of a local time: the first of two, or the first behind a gap; None on a date left out."""
    if not tz.datetime_exists(wall, of):
        if not any(tz.datetime_exists(wall.replace(hour=hour, minute=0), of) for hour in range(24)):
            return None
        while not tz.datetime_exists(wall, of):
            wall += MINUTE
    return wall.replace(tzinfo=of, fold=0).astimezone(UTC)


def expected(walls, timezone):
    """Name and moment of each deadline; of those that fall on one moment, behind a gap, the first."""
    found = {}
    for wall in walls:
        due = (searched if timezone in NEGATIVE else moment)(wall, zone(timezone))
        if due is not None:
            found.setdefault(due, f"{wall:%Y-%m-%dT%H:%M}")
    return [(name, due) for due, name in found.items()]


def deadlines(begin, end, **calendar):
    slots, now, found = Slots(Calendar.model_validate(calendar)), to_micros(begin) - 1, []
    while (slot := slots.after(now)) and slot.due < to_micros(end):
        now = slot.due
        found.append((slot.name, from_micros(now)))
    return found


def assert_same(rule, timezone, **calendar):
    """Compare all years of the rule's deadlines; a day is left out at both ends."""
    wanted = expected(rule, timezone)[1:-1]
    assert wanted
    begin, end = wanted[0][1], wanted[-1][1] + timedelta(microseconds=1)
    assert deadlines(begin, end, timezone=timezone, **calendar) == wanted


@pytest.mark.parametrize("time", ["00:00", "02:30"])
@pytest.mark.parametrize("timezone", ODD_ZONES)
def test_a_time_of_day_in_odd_zones(timezone, time):
    hour, minute = map(int, time.split(":"))
    begin = EARLIER.get(timezone, FROM) + timedelta(hours=hour, minutes=minute)
    assert_same(rrule.rrule(DAILY, begin, until=UNTIL), timezone, time=time)


@pytest.mark.parametrize("timezone", ["America/New_York", "Australia/Lord_Howe", "Europe/Amsterdam"])
def test_a_time_of_day_in_years_to_come(timezone):
    begin = datetime(2024, 1, 1, 2, 30)
    assert_same(rrule.rrule(DAILY, begin, until=datetime(2037, 1, 1)), timezone, time="02:30")


@pytest.mark.parametrize("timezone", [name for name in ODD_ZONES if name not in NO_CHANGES])
def test_every_half_hour_of_the_days_on_which_clocks_change(timezone):
    """A cron through gaps and overlaps: each local time once, and one deadline for all that a gap swallowed."""
    of = zone(timezone)
    begin = EARLIER.get(timezone, FROM)
    days = [begin + timedelta(days=number) for number in range((UNTIL - begin).days)]
    changed = [day for day in days if of.utcoffset(day) != of.utcoffset(day + timedelta(days=1))]
    assert changed
    for day in changed[-12:]:
        walls = rrule.rrule(rrule.MINUTELY, day - timedelta(days=1), interval=30, count=48 * 4)
        assert_same(walls, timezone, cron="*/30 * * * *")


@pytest.mark.parametrize("timezone", ["America/Sao_Paulo", "Australia/Lord_Howe", "Pacific/Apia", "UTC"])
@pytest.mark.parametrize(
    ("days", "weekdays"),
    [
        ("mon-fri", (MO, TU, WE, TH, FR)),
        ("sat,sun", (SA, SU)),
        ("fri-mon", (FR, SA, SU, MO)),
        ("sun", (SU,)),
        (["tue", "thu"], (TU, TH)),
    ],
)
def test_weekdays(days, weekdays, timezone):
    walls = rrule.rrule(WEEKLY, FROM + timedelta(hours=9), until=UNTIL, byweekday=weekdays)
    assert_same(walls, timezone, time="09:00", days=days)


@pytest.mark.parametrize("timezone", ["Asia/Tehran", "Europe/Amsterdam", "Pacific/Apia"])
@pytest.mark.parametrize(
    ("cron", "rule"),
    [
        ("30 2 31 * *", {"freq": MONTHLY, "bymonthday": 31}),
        ("30 2 30 * *", {"freq": MONTHLY, "bymonthday": 30}),
        ("30 2 L * *", {"freq": MONTHLY, "bymonthday": -1}),
        ("30 2 29 2 *", {"freq": YEARLY, "bymonth": 2, "bymonthday": 29}),
        ("30 2 L 2 *", {"freq": YEARLY, "bymonth": 2, "bymonthday": -1}),
        ("30 2 1 */3 *", {"freq": MONTHLY, "bymonth": (1, 4, 7, 10), "bymonthday": 1}),
        ("30 2 * * 1#1", {"freq": MONTHLY, "byweekday": MO(1)}),
        ("30 2 * * 5L", {"freq": MONTHLY, "byweekday": FR(-1)}),
        ("30 2 * * 0", {"freq": WEEKLY, "byweekday": SU}),
        ("30 2 * * 7", {"freq": WEEKLY, "byweekday": SU}),
        ("30 2 * * mon-fri", {"freq": WEEKLY, "byweekday": (MO, TU, WE, TH, FR)}),
    ],
)
def test_month_ends_leap_days_and_weekdays_of_cron(cron, rule, timezone):
    walls = rrule.rrule(dtstart=FROM + timedelta(hours=2, minutes=30), until=UNTIL, **rule)
    assert_same(walls, timezone, cron=cron)


def test_the_leap_day_that_a_century_leaves_out():
    assert [
        name
        for name, _ in deadlines(datetime(2096, 1, 1, tzinfo=UTC), datetime(2109, 1, 1, tzinfo=UTC), cron="0 0 29 2 *")
    ] == ["2096-02-29T00:00", "2104-02-29T00:00", "2108-02-29T00:00"]


def test_german_holidays_follow_easter():
    fixed = [(1, 1), (5, 1), (10, 3), (12, 25), (12, 26)]
    expected = {date(year, *day).isoformat() for year in days_off.YEARS for day in fixed}
    expected |= {
        (easter(year) + timedelta(days=days)).isoformat() for year in days_off.YEARS for days in (-2, 1, 39, 50)
    }
    assert set(days_off.dates_of(("DE",))) == expected


def nth(year, month, weekday):
    return next(iter(rrule.rrule(MONTHLY, datetime(year, month, 1), byweekday=weekday))).date()


def test_american_holidays_move_off_the_weekend():
    expected = set()
    for year in range(2020, 2051):
        fixed = [date(year, 1, 1), date(year, 7, 4), date(year, 11, 11), date(year, 12, 25)]
        fixed += [date(year, 6, 19)] if year >= 2021 else []
        observed = [day + timedelta(days={5: -1, 6: 1}.get(day.weekday(), 0)) for day in fixed]
        moving = [(1, MO(3)), (2, MO(3)), (5, MO(-1)), (9, MO(1)), (10, MO(2)), (11, TH(4))]
        expected |= {*fixed, *observed, *(nth(year, month, weekday) for month, weekday in moving)}
    assert set(days_off.dates_of(("US",))) == {day.isoformat() for day in expected if day.year in days_off.YEARS}
