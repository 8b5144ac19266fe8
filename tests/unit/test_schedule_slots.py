"""When schedules start runs: zones, days on which clocks change, what was missed."""

from datetime import UTC, datetime
from itertools import islice
from typing import Any

from airside.coordinator.scheduling import slots
from airside.events.deployments import Schedule
from airside.events.wire import from_micros, to_micros

AMSTERDAM = "Europe/Amsterdam"


def at(text: str) -> int:
    return to_micros(datetime.fromisoformat(text).replace(tzinfo=UTC))


def following(moment: str, count: int, **schedule: Any) -> list[str]:
    found = islice(slots.after(Schedule.model_validate(schedule), at(moment)), count)
    return [f"{from_micros(due):%m-%dT%H:%M}" for due in found]


def test_a_recurrence_rule_is_one_of_local_time() -> None:
    rule = {"rrule": "FREQ=MONTHLY;BYDAY=-1SU;BYHOUR=2;BYMINUTE=30", "timezone": AMSTERDAM}
    assert following("2026-01-01T00:00", 3, **rule) == ["01-25T01:30", "02-22T01:30", "03-29T01:00"]


def test_local_times_that_a_gap_left_out_start_one_run_at_its_end() -> None:
    rule = {"rrule": "FREQ=DAILY;BYHOUR=1,2,3;BYMINUTE=0,30", "timezone": AMSTERDAM}
    assert following("2026-03-28T23:45", 5, **rule) == [
        "03-29T00:00",
        "03-29T00:30",
        "03-29T01:00",  # 02:00, 02:30 and 03:00 are all this moment
        "03-29T01:30",
        "03-29T23:00",
    ]


def test_a_local_time_that_comes_twice_starts_a_run_at_its_first() -> None:
    hourly = {"rrule": "FREQ=HOURLY", "timezone": AMSTERDAM}
    assert following("2026-10-24T23:30", 4, **hourly) == ["10-25T00:00", "10-25T02:00", "10-25T03:00", "10-25T04:00"]
    assert following("2026-10-25T01:30", 1, **hourly) == ["10-25T02:00"]  # within the second of the two


def test_until_with_a_zone_is_a_moment_and_without_one_a_local_time() -> None:
    for until in ("20260105T080000Z", "20260105T090000", "20260105"):
        rule = {"rrule": f"FREQ=DAILY;BYHOUR=9;UNTIL={until}", "timezone": AMSTERDAM}
        assert following("2026-01-03T12:00", 5, **rule) == ["01-04T08:00", "01-05T08:00"]


def test_what_a_rule_missed_is_made_up_for_as_catchup_says() -> None:
    rule = {"rrule": "FREQ=DAILY;BYHOUR=6", "catchup": "all"}
    days = slots.missed(Schedule.model_validate(rule), at("2026-01-01T12:00"), at("2026-01-05T07:00"))
    assert [f"{from_micros(due):%d}" for due in days] == ["02", "03", "04", "05"]
    for catchup, wanted in (("latest", ["05"]), ("none", [])):
        schedule = Schedule.model_validate({**rule, "catchup": catchup})
        found = slots.missed(schedule, at("2026-01-01T12:00"), at("2026-01-05T07:00"))
        assert [f"{from_micros(due):%d}" for due in found] == wanted


def test_of_a_rule_that_comes_seldom_the_next_run_is_there() -> None:
    schedule = Schedule.model_validate({"rrule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29"})
    assert [f"{from_micros(due):%Y-%m-%d}" for due in slots.ahead(schedule, at("2026-01-01T00:00"))] == ["2028-02-29"]
