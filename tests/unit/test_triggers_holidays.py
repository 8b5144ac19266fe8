"""Holidays have no deadline; which days they are is settled when a file is read."""

import sys

import pytest
from pydantic import ValidationError
from tests.support.timeline import Timeline, rule

from airside.events.wire import from_micros
from airside.triggers import Automation
from airside.triggers.calendars import Calendar, Slots

EVE = 1_798_009_200_000_000  # 23 December 2026, 09:00 in Berlin


def due(count=4, **calendar):
    slots, moment, found = Slots(Calendar(timezone="Europe/Berlin", **calendar)), EVE - 1, []
    for _ in range(count):
        slot = slots.after(moment)
        moment = slot.due
        found.append(slot.name[:10])
    return found


def test_a_country_s_holidays_are_left_out():
    assert due(time="09:00", days="mon-fri", holidays="DE") == ["2026-12-23", "2026-12-24", "2026-12-28", "2026-12-29"]
    assert "2027-01-06" in due(time="09:00", holidays="DE", count=20)
    assert "2027-01-06" not in due(time="09:00", holidays=["DE-BY"], count=20)


def test_dates_are_left_out_and_of_a_cron_too():
    dates = ["2026-12-24", "2026-12-25"]
    assert due(time="09:00", holidays=dates) == ["2026-12-23", "2026-12-26", "2026-12-27", "2026-12-28"]
    assert due(cron="0 9 * * *", holidays=dates) == ["2026-12-23", "2026-12-26", "2026-12-27", "2026-12-28"]


def test_the_dates_travel_with_the_rule():
    made = rule(trigger={"absence": {"type": "x"}, "by": {"time": "09:00", "holidays": "US"}})
    document = made.to_document()
    assert "2026-07-04" in document["trigger"]["by"]["holiday_dates"]
    document["trigger"]["by"]["holiday_dates"] = ["2026-01-02"]  # as another version knew them
    assert Automation.from_document(document).trigger.by.holiday_dates == ("2026-01-02",)


def test_a_window_reaches_over_a_holiday():
    line = Timeline(
        rule(trigger={"absence": {"type": "x"}, "by": {"time": "09:00", "timezone": "UTC", "holidays": ["2025-11-21"]}})
    )
    (firing,) = line.event("2025-11-22T10:00:00+00:00", "z")
    assert firing.clause["by"] == "2025-11-22T09:00"
    assert from_micros(firing.time).day == 22


def test_what_is_no_country_and_no_date_is_refused():
    with pytest.raises(ValidationError, match="neither a country such as US"):
        Calendar(time="09:00", holidays="christmas")
    with pytest.raises(ValidationError, match="no holidays are known for 'XX'"):
        Calendar(time="09:00", holidays="XX")


def test_without_the_extra_the_way_out_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "holidays", None)
    with pytest.raises(ValidationError, match="need the extra `holidays`"):
        Calendar(time="09:00", holidays="SE")
    assert Calendar(time="09:00", holidays=["2026-12-25"]).holiday_dates == ("2026-12-25",)
