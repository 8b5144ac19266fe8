"""Recurrence rules against dateutil: any rule, from any anchor, looked at from any time."""

from datetime import datetime, timedelta
from itertools import islice, takewhile

from dateutil.rrule import rrulestr
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from airside.events import recurring

WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
#: dateutil looks for the next time without an end, from the anchor on: it is asked for no more than is known to be
#: there, and not far from the anchor where it counts minutes.
ASKED = 12
FAR = timedelta(days=4_000)
NEAR = timedelta(days=40)
ANCHORS = st.integers(0, 44 * 366 * 86_400).map(lambda seconds: datetime(1996, 1, 1) + timedelta(seconds=seconds))  # noqa: DTZ001


def numbers(low: int, high: int, *, from_end: bool = False, most: int = 4) -> st.SearchStrategy[str]:
    one = st.integers(low, high)
    return st.lists(one | one.map(lambda n: -n) if from_end else one, min_size=1, max_size=most, unique=True).map(
        lambda found: ",".join(map(str, found))
    )


@st.composite
def rules(draw: st.DrawFn) -> str:
    """Draw a rule that RFC 5545 allows and that dateutil reads as the RFC says."""
    frequency = draw(st.sampled_from(["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY"]))
    parts = {"FREQ": frequency, "WKST": draw(st.sampled_from(WEEKDAYS))}

    def perhaps(name: str, value: st.SearchStrategy[str]) -> bool:
        if draw(st.integers(0, 3)):
            return False
        parts[name] = draw(value)
        return True

    perhaps("INTERVAL", st.integers(1, 10).map(str))
    perhaps("BYMONTH", numbers(1, 12))
    weekdays = st.lists(st.sampled_from(WEEKDAYS), min_size=1, max_size=3, unique=True).map(",".join)
    if frequency == "YEARLY" and draw(st.integers(0, 5)) == 0:
        parts["BYWEEKNO"], parts["BYDAY"] = draw(numbers(1, 50, from_end=True)), draw(weekdays)
    elif frequency in ("YEARLY", "MONTHLY") and draw(st.booleans()):
        which = draw(st.integers(1, 53 if frequency == "YEARLY" and "BYMONTH" not in parts else 5))
        parts["BYDAY"] = f"{draw(st.sampled_from(['', '-']))}{which}{draw(st.sampled_from(WEEKDAYS))}"
    else:
        perhaps("BYDAY", weekdays)
        if frequency != "WEEKLY":
            perhaps("BYMONTHDAY", numbers(1, 31, from_end=True))
        if frequency in ("YEARLY", "HOURLY", "MINUTELY"):
            perhaps("BYYEARDAY", numbers(1, 366, from_end=True))
    perhaps("BYHOUR", numbers(0, 23))
    perhaps("BYMINUTE", numbers(0, 59))
    perhaps("BYSECOND", st.integers(0, 59).map(str))
    if frequency != "WEEKLY":  # of a first week dateutil counts only what is left of it
        perhaps("BYSETPOS", numbers(1, 6, from_end=True))
    return ";".join(f"{name}={value}" for name, value in parts.items())


def recurring_or_never(text: str, anchor: datetime) -> recurring.Rule | None:
    try:
        return recurring.rule(text, anchor)
    except ValueError as error:
        if str(error) != recurring.NEVER:
            raise
        return None


@settings(max_examples=200)
@given(text=rules(), anchor=ANCHORS, place=st.floats(0, 1))
def test_a_rule_comes_when_dateutil_says(text: str, anchor: datetime, place: float) -> None:
    rule = recurring_or_never(text, anchor)
    if rule is None:
        event("comes never")
        assume(text.startswith("FREQ=YEARLY"))  # in others dateutil would look for minutes
        theirs = next(iter(rrulestr(text, dtstart=anchor)), None)
        assert theirs is None or theirs > anchor + timedelta(days=13 * 365)  # as far as is looked
        return
    minutes = text.startswith(("FREQ=HOURLY", "FREQ=MINUTELY"))
    moment = anchor + place * (NEAR if minutes else FAR)
    ours = [at for at in islice(rule.after(moment), ASKED) if not minutes or at < moment + 20 * NEAR]
    model = rrulestr(text, dtstart=anchor)
    assert list(islice(model.xafter(moment), len(ours))) == ours
    event(f"{text.partition(';')[0]}, {'some' if ours else 'none'}")


@settings(max_examples=100)
@given(text=rules(), anchor=ANCHORS, count=st.integers(1, 30), days=st.integers(0, 900))
def test_count_and_until_end_a_rule_where_dateutil_ends_it(text: str, anchor: datetime, count: int, days: int) -> None:
    try:
        counted = recurring.rule(f"{text};COUNT={count}", anchor)
    except ValueError:
        assume(False)
    everything = list(counted.after(anchor - timedelta(days=1)))
    assert everything == list(rrulestr(f"{text};COUNT={count}", dtstart=anchor))
    assert list(counted.after(everything[0])) == everything[1:]
    until = everything[0] + timedelta(days=days)
    ended = recurring.rule(f"{text};UNTIL={until:%Y%m%dT%H%M%S}", anchor)
    wanted = [at for at in everything if at <= until]
    assert (
        list(islice(takewhile(lambda at: at <= everything[-1], ended.after(anchor - timedelta(days=1))), 40)) == wanted
    )
