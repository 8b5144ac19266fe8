"""What would have prevented a firing: a sentence for each kind, made of the firing as it is shown."""

import pytest
from tests.support.timeline import Timeline, rule

from airside.triggers.backtest import listed
from airside.triggers.prevention import local, prevention, timezone_of

AFTER = {"absence": {"type": "job.done"}, "after": {"type": "job.began"}, "within": "10m"}


def sentence(trigger, *events, last=-1):
    automation = rule(trigger=trigger)
    line = Timeline(automation)
    fired = [firing for at, kind in events for firing in line.event(at, kind)] + line.engine.advance(0)
    return prevention(listed(fired)[last], automation)


def test_one_event_of_many_less_or_further_apart() -> None:
    trigger = {"match": {"type": "a.b"}, "count": 2, "within": "10m"}
    assert sentence(trigger, ("10:00", "a.b"), ("10:04", "a.b")) == (
        "One a.b fewer: 2 within 10m are enough. Or all of them spread wider: had the first come 6m earlier, it had"
        " left the window when the last came."
    )


def test_a_rule_on_single_events_is_prevented_by_nothing_but_their_absence() -> None:
    assert sentence({"match": {"type": "a.b"}}, ("10:00", "a.b")).startswith("Only that a.b not coming: one is enough.")


def test_the_expected_event_in_time_with_the_grace() -> None:
    assert sentence({**AFTER, "grace": "1m"}, ("10:00", "job.began"), ("11:00", "x.y")) == (
        "One job.done of this key on the log after Thu 20 Nov 10:00 and by Thu 20 Nov 10:11 UTC, that is the deadline"
        " and a grace of 1m."
    )


def test_a_calendar_rule_speaks_in_its_own_zone() -> None:
    by = {"absence": {"type": "job.done"}, "by": {"time": "06:00", "timezone": "America/New_York"}}
    text = sentence(by, ("10:30", "x.y"), ("12:00", "x.y"))
    assert "by Thu 20 Nov 06:00 America/New_York." in text
    shown = {"clause": {"timezone": "America/New_York"}}
    assert local("2025-11-20T11:00:00Z", timezone_of(shown)) == "Thu 20 Nov 06:00 America/New_York"


def test_a_recovery_needed_no_prevention() -> None:
    text = sentence(AFTER, ("10:00", "job.began"), ("11:00", "job.done"))
    assert text.startswith("Nothing had to: it says that firing ")


@pytest.mark.parametrize(
    ("clause", "said"),
    [
        ({"trigger": "metric", "metric": "p95", "above": 3, "over": "1h", "value": 4.5}, "A p95 of at most 3 over 1h;"),
        ({"trigger": "query", "row_count": 2}, "No row in the answer of its query at that time; there were 2."),
        ({"trigger": "bucket", "fewer_than": 3, "within": "1h", "counted": 1}, "3 events or more within 1h"),
        ({"trigger": "bucket", "reaches": 3, "counted": 3}, "One event fewer: 3 are enough."),
        ({"trigger": "all", "needed": 2, "of": 2, "fired": [{}, {}]}, "One of its triggers not firing: 2 of them are"),
        ({"trigger": "any", "needed": 1, "of": 2, "fired": [{}]}, "None of its triggers firing: one of them is enough"),
        ({"trigger": "sequence", "within": "1h"}, "One of its triggers not firing, or firing in another order"),
        ({"trigger": "new"}, "Another clause;"),
    ],
)
def test_every_kind_has_its_sentence(clause: dict, said: str) -> None:
    assert prevention({"outcome": "triggered", "clause": clause}).startswith(said)
