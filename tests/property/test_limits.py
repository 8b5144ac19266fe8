"""The book of a limit, whatever is done to it in whatever order."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from airside.coordinator.limits import book
from airside.coordinator.limits.book import Entry, LeaseLost, Limit, TooMany, Wanted
from airside.triggers.actions import MAX_SLOTS

_LEASES = st.sampled_from([f"lease-{number}" for number in range(6)])
_STEPS = st.one_of(
    st.tuples(st.just("ask"), _LEASES, st.integers(1, 4)),
    st.tuples(st.just("release"), _LEASES, st.just(0)),
    st.tuples(st.just("renew"), _LEASES, st.just(0)),
    st.tuples(st.just("strike"), _LEASES, st.integers(0, 3)),
)


@given(st.integers(0, 5), st.lists(_STEPS, max_size=60))
def test_never_more_is_held_than_there_is_and_the_first_comes_first(
    slots: int, steps: list[tuple[str, str, int]]
) -> None:
    limit = Limit(workspace="default", name="warehouse", slots=slots)
    for what, lease, number in steps:
        before = {entry.lease: entry.held for entry in limit.entries}
        try:
            if what == "ask":
                limit = book.ask(limit, Wanted(lease=lease, holder="", slots=number), patience=10)
            elif what == "release":
                limit = book.strike(limit, {lease: None})
            elif what == "renew":
                limit = book.renew(limit, lease, None)
            else:
                limit = book.strike(limit, {lease: number})
        except (LeaseLost, TooMany):
            continue
        assert limit.used <= limit.slots
        assert all(entry.held for entry in limit.entries if before.get(entry.lease)), "a lease was taken away"
        waiting = [entry for entry in limit.entries if not entry.held]
        assert not waiting or waiting[0].slots > limit.slots - limit.used, "the first could be served, and waits"
        granted = [entry.lease for entry in limit.entries if entry.held and before.get(entry.lease) is False]
        order = [lease for lease, held in before.items() if not held and limit.find(lease)]
        assert granted == order[: len(granted)]


@given(st.text(max_size=500))
def test_a_full_queue_fits_one_value_of_the_broker_whatever_its_holders_are_called(holder: str) -> None:
    entry = Entry(
        lease="x" * 100, holder=book.shortened(holder), slots=MAX_SLOTS, ttl=3_600 / 7, patience=40 / 7, beat=10**9
    )
    limit = Limit(workspace="w" * 60, name="\U0001f600" * 200, slots=MAX_SLOTS, entries=(entry,) * book.MAX_ENTRIES)
    assert len(msgspec.json.encode(limit)) < 1_000_000


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(1, 3)), max_size=60), st.integers(3, 6), st.floats(0.5, 10))
def test_a_rate_gives_no_more_than_its_bucket_and_what_flows_into_it(
    calls: list[tuple[float, int]], slots: int, per: float
) -> None:
    limit = Limit(workspace="default", name="api", slots=slots, per=per)
    now, given_at = 1_000.0, []
    for pause, number in calls:
        now += pause
        limit, rate = book.take(limit, number, now, most=30)
        if rate.granted:
            given_at.append((now + rate.delay, number))
    for start, (begin, _) in enumerate(given_at):
        total = 0
        for moment, number in given_at[start:]:
            total += number
            assert total <= slots + (moment - begin) * slots / per + 1e-6
