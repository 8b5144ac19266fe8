"""Our reading of cron expressions beside croniter's, over expressions that nobody thought of."""

import random
from datetime import UTC, datetime

import pytest
from croniter import croniter

from airside.events.wire import from_micros, to_micros
from airside.triggers.calendars import Calendar, Slots

BEGIN = datetime(2023, 12, 30, 23, 58, tzinfo=UTC)
MANY = 25


def deadlines(cron, begin, count, timezone="UTC"):
    slots, now, found = Slots(Calendar(cron=cron, timezone=timezone)), to_micros(begin), []
    for _ in range(count):
        now = slots.after(now).due
        found.append(from_micros(now))
    return found


def theirs(cron, begin, count):
    steps = croniter(cron, begin)
    return [steps.get_next(datetime) for _ in range(count)]


def field(draw, low, high):
    """Write one field of a cron expression: a star, a number, a list, a range or a step."""
    first, last = sorted(draw.sample(range(low, high + 1), 2))
    return draw.choice(
        ["*", "*", str(first), f"{first},{last}", f"{first}-{last}", f"*/{draw.randint(2, 9)}", f"{first}-{last}/2"]
    )


def expression(number):
    draw = random.Random(number)
    minute, hour, month = field(draw, 0, 59), field(draw, 0, 23), field(draw, 1, 12)
    # with both days given, and a step from a star among them, cron programs disagree: only one of the two then
    day, weekday = draw.choice([(field(draw, 1, 28), "*"), ("*", field(draw, 0, 6)), ("1,15", "1-5"), ("13", "5")])
    return f"{minute} {hour} {day} {month} {weekday}"


@pytest.mark.parametrize("number", range(200))
def test_an_expression_names_the_same_times(number):
    cron = expression(number)
    assert deadlines(cron, BEGIN, MANY) == theirs(cron, BEGIN, MANY), cron


@pytest.mark.parametrize(
    ("cron", "timezone"),
    [("15 4 * * *", "America/New_York"), ("0 12 * * 1-5", "Europe/Amsterdam"), ("45 23 L * *", "Asia/Kolkata")],
)
def test_times_that_no_change_of_clocks_touches_are_the_same_in_a_zone(cron, timezone):
    begin = datetime(2024, 1, 1, tzinfo=UTC)
    slots = Slots(Calendar(cron=cron, timezone=timezone))
    tz = slots._tz
    assert deadlines(cron, begin, 500, timezone) == [
        each.astimezone(UTC) for each in theirs(cron, begin.astimezone(tz), 500)
    ]


def test_where_an_hour_comes_twice_croniter_fires_twice_and_we_the_first_time():
    begin = datetime(2026, 10, 24, 12, tzinfo=UTC)
    local = begin.astimezone(Slots(Calendar(time="09:00", timezone="Europe/Amsterdam"))._tz)
    first, second, *_ = [each.astimezone(UTC) for each in theirs("30 2 * * *", local, 3)]
    ours = deadlines("30 2 * * *", begin, 2, "Europe/Amsterdam")
    assert ours[0] == first == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert second not in ours
