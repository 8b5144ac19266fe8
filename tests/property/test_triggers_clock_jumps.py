"""A broker's clock may jump: the engine's only moves on, and decides as if the log's times had never fallen."""

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st
from tests.support.timeline import record, rule

from airside.triggers import Engine

RULES = [
    rule("thrice", trigger={"match": {"type": "a.b"}, "count": 3, "within": "10m", "for_each": "resource.id"}),
    rule("fresh", trigger={"absence": {"type": "a.b"}, "every": "30m", "for_each": "resource.id"}),
    rule("answer", trigger={"absence": {"type": "c.d"}, "after": {"type": "a.b"}, "within": "15m", "grace": "1m"}),
    rule("by-noon", trigger={"absence": {"type": "c.d"}, "by": {"time": "12:00"}}),
]
#: Mostly a log that goes on; now and then a clock that is set, by up to three hours either way.
STEPS = st.one_of(st.integers(0, 400), st.integers(0, 400), st.integers(-10_800, 10_800))
LINES = st.lists(st.tuples(STEPS, st.sampled_from(["a.b", "c.d"]), st.sampled_from(["t://1", "t://2"])), max_size=60)


def decide(times, lines, saved_at=-1):
    engine = Engine()
    for made in RULES:
        engine.apply(made, 1, at=record(1, 0, "x.y").received, position=0)
    fired = []
    for position, (at, (_, kind, about)) in enumerate(zip(times, lines, strict=True), 1):
        if position == saved_at:
            engine = Engine.load(engine.save())
        fired += engine.step(record(position, at, kind, about, own=0))
    return [(f.id, f.automation, f.outcome, f.key, f.window, f.time, f.decided, f.position) for f in fired]


@given(LINES, st.integers(1, 60))
def test_times_that_fall_change_no_decision(lines, saved_at):
    jumping = list(accumulate(step for step, _, _ in lines))
    as_if = list(accumulate(jumping, max, initial=0))[1:]
    assert decide(jumping, lines) == decide(as_if, lines) == decide(jumping, lines, saved_at)
