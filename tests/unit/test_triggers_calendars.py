"""Calendar deadlines: local names, real moments, and the days on which clocks change."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError
from tests.support.timeline import instant

from airside.events import wall_clock
from airside.events.wire import to_micros
from airside.triggers import zones
from airside.triggers.calendars import Calendar, Slots


def deadlines(after, count, **calendar):
    """List the next deadlines as name and UTC moment."""
    slots = Slots(Calendar.model_validate(calendar))
    moment = to_micros(datetime.fromisoformat(after).replace(tzinfo=UTC))
    found = []
    for _ in range(count):
        slot = slots.after(moment)
        moment = slot.due
        found.append((slot.name, f"{instant(moment):%Y-%m-%dT%H:%M}"))
    return found


@pytest.mark.parametrize(
    ("timezone", "time", "after", "expected"),
    [
        # spring forward: 02:00 becomes 03:00; the first valid instant counts
        ("Europe/Amsterdam", "02:30", "2026-03-28T12:00", ("2026-03-29T02:30", "2026-03-29T01:00")),
        ("Europe/Amsterdam", "03:00", "2026-03-28T12:00", ("2026-03-29T03:00", "2026-03-29T01:00")),
        ("America/New_York", "02:30", "2026-03-07T12:00", ("2026-03-08T02:30", "2026-03-08T07:00")),
        ("America/New_York", "03:30", "2026-03-07T12:00", ("2026-03-08T03:30", "2026-03-08T07:30")),
        # half an hour forward: 02:00 becomes 02:30
        ("Australia/Lord_Howe", "02:15", "2026-10-03T12:00", ("2026-10-04T02:15", "2026-10-03T15:30")),
        # fall back: the first 02:30 of two counts
        ("Europe/Amsterdam", "02:30", "2026-10-24T12:00", ("2026-10-25T02:30", "2026-10-25T00:30")),
        ("America/New_York", "01:30", "2026-10-31T12:00", ("2026-11-01T01:30", "2026-11-01T05:30")),
        ("Australia/Lord_Howe", "01:45", "2026-04-04T12:00", ("2026-04-05T01:45", "2026-04-04T14:45")),
        # a clock change at midnight: the day begins at 01:00
        ("America/Havana", "00:30", "2026-03-07T12:00", ("2026-03-08T00:30", "2026-03-08T05:00")),
        # a change that leaps over midnight into the next date
        ("America/Toronto", "23:45", "1919-03-30T12:00", ("1919-03-30T23:45", "1919-03-31T04:30")),
        ("Asia/Kathmandu", "09:00", "2026-01-01T00:00", ("2026-01-01T09:00", "2026-01-01T03:15")),
    ],
)
def test_a_local_time_is_one_moment(timezone, time, after, expected):
    assert deadlines(after, 1, time=time, timezone=timezone) == [expected]


def test_a_date_has_one_deadline_also_where_the_hour_comes_twice():
    names = [name for name, _ in deadlines("2026-10-24T12:00", 3, time="02:30", timezone="Europe/Amsterdam")]
    assert names == ["2026-10-25T02:30", "2026-10-26T02:30", "2026-10-27T02:30"]


def test_a_date_that_never_was_has_no_deadline():
    """Samoa went from the 29th of December 2011 straight to the 31st."""
    assert deadlines("2011-12-29T00:00", 3, time="09:00", timezone="Pacific/Apia") == [
        ("2011-12-29T09:00", "2011-12-29T19:00"),
        ("2011-12-31T09:00", "2011-12-30T19:00"),
        ("2012-01-01T09:00", "2011-12-31T19:00"),
    ]


def test_weekdays():
    names = [name for name, _ in deadlines("2025-11-20T12:00", 3, time="09:00", days="mon-fri")]
    assert names == ["2025-11-21T09:00", "2025-11-24T09:00", "2025-11-25T09:00"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("mon-fri", "mon tue wed thu fri"),
        ("sat,sun", "sat sun"),
        ("fri-mon", "mon fri sat sun"),
        ("Mon, wed-thu", "mon wed thu"),
        (["sun", "mon"], "mon sun"),
        ("tue", "tue"),
    ],
)
def test_ways_to_write_days(written, meant):
    assert Calendar.model_validate({"time": "09:00", "days": written}).days == tuple(meant.split())


def test_cron_follows_the_local_clock():
    assert deadlines("2026-03-28T12:00", 2, cron="30 7 * * *", timezone="Europe/Amsterdam") == [
        ("2026-03-29T07:30", "2026-03-29T05:30"),
        ("2026-03-30T07:30", "2026-03-30T05:30"),
    ]


def test_cron_counts_each_local_time_once_where_the_hour_comes_twice():
    assert deadlines("2026-10-25T00:10", 3, cron="*/30 * * * *", timezone="Europe/Amsterdam") == [
        ("2026-10-25T02:30", "2026-10-25T00:30"),
        ("2026-10-25T03:00", "2026-10-25T02:00"),
        ("2026-10-25T03:30", "2026-10-25T02:30"),
    ]


def test_cron_makes_one_deadline_of_all_that_falls_into_the_missing_hour():
    assert deadlines("2026-03-29T00:40", 3, cron="*/30 * * * *", timezone="Europe/Amsterdam") == [
        ("2026-03-29T02:00", "2026-03-29T01:00"),
        ("2026-03-29T03:30", "2026-03-29T01:30"),
        ("2026-03-29T04:00", "2026-03-29T02:00"),
    ]


@pytest.mark.parametrize(
    ("calendar", "reason"),
    [
        ({}, "either `time` or `cron`"),
        ({"time": "09:00", "cron": "0 9 * * *"}, "either `time` or `cron`"),
        ({"time": "9:00"}, "time of day"),
        ({"time": "24:00"}, "time of day"),
        ({"cron": "0 9 * *"}, "five fields"),
        ({"cron": "0 9 30 2 *"}, "cron"),
        ({"cron": "61 9 * * *"}, "not a cron expression"),
        ({"time": "09:00", "days": "monday"}, "weekdays"),
        ({"time": "09:00", "days": []}, "weekdays"),
        ({"time": "09:00", "days": 5}, "weekdays"),
        ({"time": "09:00", "timezone": "Mars/Base"}, "no time zone"),
        ({"time": "09:00", "timezone": "../../etc/passwd"}, "no time zone"),
        ({"time": "09:00", "since": "10:00"}, "earlier in the day"),
        ({"cron": "0 9 * * *", "since": "08:00"}, "go with `time`"),
        ({"cron": "0 9 * * *", "days": "mon"}, "go with `time`"),
    ],
)
def test_calendars_that_mean_nothing_are_refused(calendar, reason):
    with pytest.raises(ValidationError, match=reason):
        Calendar.model_validate(calendar)


def test_every_zone_of_the_pinned_data_can_be_loaded():
    assert len(wall_clock.zone_names()) > 500
    assert all(zones.zone(name).key == name for name in wall_clock.zone_names())
