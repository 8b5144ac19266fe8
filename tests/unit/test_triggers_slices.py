"""An entry that many deadlines pass at: taken in slices, it decides what it decides at once."""

import pytest
from tests.support.timeline import Timeline, moment, record, rule

from airside.triggers import Engine
from airside.triggers.engine import SLICE
from airside.triggers.exceptions import StateRefused
from airside.triggers.snapshot import pack, unpack

KEYS = 3 * SLICE + 7
MISSED = {"absence": {"type": "done"}, "for_each": "resource.id"}
BY = {**MISSED, "by": {"time": "10:05"}}
EVERY = {**MISSED, "every": "30s"}
RULES = [
    rule("by", trigger=BY, on_resolve=[{"emit": {"type": "came.late", "resource": "x://1"}}]),
    rule("every", trigger=EVERY),
    rule("grace", trigger={**EVERY, "grace": "2m", "cooldown": "1h"}),
    rule("occurred", trigger={**EVERY, "time": "occurred"}),
    rule("all", trigger={"all": [BY, EVERY], "for_each": "resource.id"}),
    rule("both", trigger={"all": [BY, {"absence": {"type": "done"}, "every": "30s"}]}),
    rule("after-firing", trigger={"match": {"type": "automation.triggered"}, "count": 10, "within": "1h"}),
]


def waiting():
    line = Timeline(*RULES)
    line.tick(0)
    for number in range(KEYS):
        line.event(1 + number / KEYS, "done", f"run://{number}")
    return line


def entries(line):
    """What comes next: an event long after all deadlines, a firing that was decided then, and another event."""
    position = line.position
    late = record(position + 1, "2025-11-21T11:00:00+00:00", "done", "run://3")
    own = record(
        position + 2,
        "2025-11-21T11:00:01+00:00",
        "automation.triggered",
        "automation://by",
        subject="fire.default.x.y",
    )
    return [late, own, record(position + 3, "2025-11-21T11:00:02+00:00", "done", "run://4")]


def test_slices_decide_what_one_step_decides_in_the_same_order():
    at_once, sliced = waiting(), waiting()
    for entry in entries(at_once):
        whole = at_once.engine.step(entry)
        parts = list(sliced.engine.slices(entry))
        assert [each.to_dict() for part in parts for each in part] == [each.to_dict() for each in whole]
        assert at_once.engine.save() == sliced.engine.save()
    assert Engine.load(sliced.engine.save()).save() == sliced.engine.save()


def test_no_slice_decides_on_more_keys_than_it_may():
    line = waiting()
    late, *_ = entries(line)
    sizes = [len(part) for part in line.engine.slices(late)]
    # a rule judges one key at a time; a key may fire for several deadlines in turn, each a stop of its own
    assert max(sizes) <= SLICE
    assert sum(sizes) > 4 * KEYS


def test_a_clock_that_moves_without_an_event_can_be_taken_in_slices():
    at_once, sliced = waiting(), waiting()
    position, at = at_once.position + 1, moment("2025-11-21T11:00:00+00:00")
    whole = at_once.engine.pass_over(position, at)
    parts = list(sliced.engine.pass_over_slices(position, at))
    assert len(parts) > 4
    assert [each.id for part in parts for each in part] == [each.id for each in whole]
    assert at_once.engine.save() == sliced.engine.save()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: state.pop("chains"),
        lambda state: state["installed"].append(["default", "other", {"name": "other", "new_field": 1}, 1, True]),
        lambda state: state["rules"][0].pop("trigger"),
        lambda state: state.update(timers="none"),
        lambda state: state.update(position=None, now={}),
    ],
)
def test_a_state_whose_content_cannot_be_read_is_refused_however_whole_it_is(spoil):
    state = unpack(waiting().engine.save())
    spoil(state)
    with pytest.raises(StateRefused, match=r"cannot be read.*replay the log from its beginning"):
        Engine.load(pack(state))
