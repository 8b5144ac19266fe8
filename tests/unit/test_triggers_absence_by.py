"""Absence by a deadline on the calendar: one verdict for each local date."""

from datetime import UTC, datetime

import pytest
from tests.support.timeline import Timeline, instant, outcomes, rule

BY = {"absence": {"type": "table.updated", "resource": "table://warehouse/sales"}}
SALES = "table://warehouse/sales"


def by(calendar, **changes):
    return rule(trigger={**BY, "by": calendar, **changes})


def test_by_fires_for_each_missed_deadline_under_its_local_name():
    start = datetime(2025, 11, 20, 12, tzinfo=UTC)
    calendar = {"time": "09:00", "days": "mon-fri", "timezone": "America/New_York"}
    line = Timeline(by(calendar, grace="2m"), start=start)
    assert line.event("2025-11-20T13:59:00+00:00", "table.updated", SALES) == []
    assert line.tick("2025-11-21T14:02:00+00:00") == []
    (firing,) = line.tick("2025-11-21T14:02:00.000001+00:00")
    assert firing.reason == (
        "no table.updated for table://warehouse/sales between Thu 20 Nov 09:00 and Fri 21 Nov 09:00"
        " America/New_York (grace 2m)"
    )
    assert firing.clause["by"] == "2025-11-21T09:00"
    assert instant(firing.time) == datetime(2025, 11, 21, 14, tzinfo=UTC)
    (monday,) = line.tick("2025-11-24T15:00:00+00:00")
    assert monday.clause["by"] == "2025-11-24T09:00"
    (resolved,) = line.event("2025-11-24T15:30:00+00:00", "table.updated", SALES)
    assert resolved.resolves == monday.id
    assert resolved.to_dict()["late_by"] == 5400.0


def test_by_event_at_the_deadline_belongs_to_the_window_that_ends_there():
    line = Timeline(by({"time": "10:10"}))
    assert line.event("10:10", "table.updated", SALES) == []
    assert len(line.tick("2025-11-21T10:11:00+00:00")) == 1


def test_by_the_first_window_begins_with_the_rule():
    line = Timeline(by({"time": "10:10"}))
    (firing,) = line.tick("10:11")
    assert firing.window["start"] == "2025-11-20T10:00:00.000000Z"


def test_by_one_event_within_the_grace_does_not_excuse_two_deadlines():
    line = Timeline(by({"time": "10:10"}, grace="5m"))
    assert line.event("10:12", "table.updated", SALES) == []
    assert len(line.tick("2025-11-21T10:16:00+00:00")) == 1


def test_by_since_makes_yesterday_evening_too_early():
    line = Timeline(by({"time": "10:10", "since": "00:00"}))
    line.event("10:05", "table.updated", SALES)
    line.event("23:59", "table.updated", SALES)
    assert len(line.tick("2025-11-21T10:11:00+00:00")) == 1
    line.event("2025-11-22T00:00:00+00:00", "table.updated", SALES)
    assert line.tick("2025-11-22T10:11:00+00:00") == []


def test_by_key_is_expected_from_the_deadline_after_its_first_event():
    line = Timeline(by({"time": "10:10"}, for_each="resource.labels.region"))
    about = {"id": SALES, "labels": {"region": "eu"}}
    assert line.tick("10:11") == []
    line.event("23:00", "table.updated", about)
    assert line.tick("2025-11-21T10:11:00+00:00") == []
    assert outcomes(line.tick("2025-11-22T10:11:00+00:00")) == [
        ("triggered", {"resource": {"labels": {"region": "eu"}}})
    ]
    assert len(line.tick("2025-11-23T10:11:00+00:00")) == 1
    (resolved,) = line.event("2025-11-23T12:00:00+00:00", "table.updated", about)
    assert resolved.window["end"] == "2025-11-23T10:10:00.000000Z"


def test_by_own_time_decides_which_window_an_event_is_for():
    line = Timeline(by({"time": "10:10"}, time="occurred", grace="1h"))
    assert line.event("11:00", "table.updated", SALES, own="10:09") == []
    assert line.tick("11:11") == []
    (firing,) = line.tick("2025-11-21T11:11:00+00:00")
    assert firing.clause["by"] == "2025-11-21T10:10"


def test_by_own_time_after_the_deadline_is_a_recovery_as_soon_as_the_verdict_is_there():
    line = Timeline(by({"time": "10:10"}, time="occurred", grace="1h"))
    assert line.event("10:30", "table.updated", SALES, own="10:20") == []
    triggered, resolved = line.tick("11:11")
    assert (triggered.outcome, resolved.outcome) == ("triggered", "resolved")
    assert resolved.late_by == 600_000_000
    (firing,) = line.tick("2025-11-21T11:11:00+00:00")
    assert firing.clause["made_up"]["due"] == "2025-11-20T10:10:00.000000Z"


def test_by_fires_for_every_deadline_of_a_long_silence():
    line = Timeline(by({"cron": "*/10 * * * *"}))
    firings = line.tick("10:35")
    assert [each.clause["by"][-5:] for each in firings] == ["10:10", "10:20", "10:30"]


@pytest.mark.parametrize("hold", ["annotate", "hold"])
def test_by_on_gap(hold):
    line = Timeline(by({"time": "10:10"}, on_gap=hold))
    line.tick(0)
    late = line.tick("10:11")
    later = line.event("10:12", "table.updated", SALES)
    assert (len(late), len(later)) == ((1, 1) if hold == "annotate" else (0, 0))


def test_by_an_event_at_the_very_moment_of_the_rules_creation_counts():
    line = Timeline(by({"time": "10:10"}))
    line.event(0, "table.updated", SALES)
    assert line.tick("10:11") == []


def test_by_a_finished_run_is_no_longer_expected():
    trigger = {"absence": {"type": "run.reported"}, "by": {"time": "10:10"}, "for_each": ["resource.id"]}
    line = Timeline(rule(trigger=trigger))
    line.event(0, "run.reported", "flow_run://1")
    line.event(1, "flow_run.completed", "flow_run://1")
    assert line.tick("2025-11-23T11:00:00+00:00") == []


def days(line, late):
    """Let five days pass on which the table comes so late after 10:10; give the deadlines that fired."""
    fired = []
    for day in range(20, 25):
        fired += line.tick(f"2025-11-{day}T10:11:00+00:00")
        line.event(f"2025-11-{day}T{late}:00+00:00", "table.updated", SALES)
    return [each.clause["by"][:10] for each in fired]


EVERY_DAY = [f"2025-11-{day}" for day in range(20, 25)]


@pytest.mark.parametrize("trigger", [{}, {"time": "occurred"}, {"grace": "10s"}, {"cooldown": "1h"}])
def test_by_what_is_late_every_day_is_told_of_every_day(trigger):
    assert days(Timeline(by({"time": "10:10"}, **trigger)), "10:40") == EVERY_DAY


def test_by_what_is_late_every_day_is_told_of_for_each_key_after_its_first_event():
    assert days(Timeline(by({"time": "10:10"}, for_each="resource.id")), "10:40") == EVERY_DAY[1:]


def test_by_what_comes_the_evening_before_is_in_time_again_after_a_miss():
    line = Timeline(by({"time": "10:10"}))
    assert days(line, "20:00") == EVERY_DAY[:1]


def test_by_what_comes_in_time_on_the_next_day_counts_also_after_a_miss():
    line = Timeline(by({"time": "10:10"}))
    assert len(line.tick("10:11")) == 1
    line.event("10:40", "table.updated", SALES)
    line.event("2025-11-21T10:00:00+00:00", "table.updated", SALES)
    assert line.tick("2025-11-21T10:11:00+00:00") == []


@pytest.mark.parametrize(
    ("calendar", "fired"),
    [
        ({"time": "10:10", "makes_up": "never"}, EVERY_DAY[:1]),
        ({"time": "10:10", "makes_up": "29m"}, EVERY_DAY[:1]),
        ({"time": "10:10", "makes_up": "30m"}, EVERY_DAY),
        ({"time": "10:10", "since": "00:00"}, EVERY_DAY),
        ({"cron": "10 10 * * *"}, EVERY_DAY),
    ],
)
def test_by_the_calendar_says_what_still_makes_up_for_a_miss(calendar, fired):
    assert days(Timeline(by(calendar)), "10:40") == fired


def test_by_each_hour_what_comes_after_a_missed_hour_is_in_time_for_the_next():
    line = Timeline(by({"cron": "0 * * * *"}))
    assert len(line.tick("11:01")) == 1
    line.event("11:10", "table.updated", SALES)
    assert line.tick("12:01") == []


def test_by_a_firing_names_the_event_that_came_for_the_deadline_before():
    line = Timeline(by({"time": "10:10"}))
    line.tick("10:11")
    (resolved,) = line.event("10:40", "table.updated", SALES)
    (firing,) = line.tick("2025-11-21T10:11:00+00:00")
    assert firing.clause["made_up"] == {"event": resolved.events[0]["id"], "due": "2025-11-20T10:10:00.000000Z"}
    assert "which came late for the deadline before" in firing.reason
