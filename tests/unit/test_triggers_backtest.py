"""Backtests: given rules on a part of a log, and a clock that runs on after it."""

import orjson
import pytest
from tests.support.timeline import Timeline, instant, moment, outcomes, record, rule

from airside.events import exported, wire
from airside.triggers import Engine
from airside.triggers.backtest import Backtest, OtherWorkspace, listed

SILENCE = {"absence": {"type": "table.updated"}, "every": "10m"}


def test_the_clock_runs_on_to_until_and_a_deadline_at_it_is_still_open() -> None:
    early = [record(7, "10:00", "table.updated")]
    for until, fired in (("10:10", 0), ("10:10:00.001", 1)):
        assert len(list(Backtest([rule(trigger=SILENCE)], until=moment(until)).run(early))) == fired


def test_without_until_the_clock_ends_at_the_last_entry() -> None:
    run = Backtest([rule(trigger=SILENCE)])
    assert list(run.run([record(7, "10:00", "table.updated"), record(9, "10:10", "other.thing")])) == []
    assert (run.entries, run.position, run.now) == (2, 9, moment("10:10"))


def test_entries_beyond_until_are_left_out_and_it_says_so() -> None:
    run = Backtest([rule(trigger={"match": {"type": "a.b"}})], until=moment("10:05"))
    entries = [record(1, "10:00", "a.b"), record(2, "10:05", "a.b"), record(3, "10:06", "a.b")]
    assert [firing.position for firing in run.run(entries)] == [1, 2]
    assert run.cut_short


def test_rules_begin_at_the_first_entry_and_are_not_changed_by_the_log() -> None:
    trigger = {"absence": {"type": "table.updated"}, "every": "10m", "armed_by": "rule"}
    deleted = record(
        2,
        "10:01",
        "automation.deleted",
        "automation://rule",
        payload={"name": "rule", "revision": 1},
        subject="ctl.default.x.y",
    )
    run = Backtest([rule(trigger=trigger)], revisions={"rule": 4}, until=moment("11:00"))
    [firing] = run.run([record(1, "10:00", "a.b"), deleted])
    assert (firing.revision, instant(firing.time)) == (4, instant(moment("10:10")))


def test_a_rule_that_is_switched_off_does_not_fire() -> None:
    off = rule(trigger={"match": {"type": "a.b"}}, enabled=False)
    assert list(Backtest([off]).run([record(1, "10:00", "a.b")])) == []


def test_a_backtest_decides_what_the_live_engine_decided() -> None:
    trigger = {"absence": {"type": "job.done"}, "after": {"type": "job.began"}, "within": "10m", "for_each": "$.job"}
    live = Timeline(rule(trigger=trigger))
    decided = [
        *live.event("10:00", "job.began", payload={"job": 1}),
        *live.event("10:05", "job.began", payload={"job": 2}),
        *live.event("10:07", "job.done", payload={"job": 2}),
        *live.event("10:20", "job.done", payload={"job": 1}),
    ]
    entries = [
        record(1, "10:00", "job.began", payload={"job": 1}),
        record(2, "10:05", "job.began", payload={"job": 2}),
        record(3, "10:07", "job.done", payload={"job": 2}),
        record(4, "10:20", "job.done", payload={"job": 1}),
    ]
    tested = list(Backtest([rule(trigger=trigger)]).run(entries))
    assert outcomes(tested) == [("triggered", {"payload": {"job": 1}}), ("resolved", {"payload": {"job": 1}})]
    assert [firing.id for firing in tested] == [firing.id for firing in decided]
    shown = listed(tested)
    assert (shown[0]["resolved_by"], shown[1]["resolves"]) == (shown[1]["id"], shown[0]["id"])


def test_a_clock_that_runs_on_is_no_hole_in_the_log() -> None:
    engine = Engine()
    engine.apply(rule(trigger=SILENCE), 1, at=moment("10:00"), position=0)
    engine.step(record(1, "10:00", "clock.ticked", "clock://log", subject="ctl.default.clock.clock.ticked"))
    engine.step(record(2, "10:00:05", "table.updated"))
    [firing] = engine.advance(moment("12:00"))
    assert (firing.window.get("blind_for"), firing.decided - firing.time) == (None, 1)
    assert engine.now == moment("12:00")


def test_two_workspaces_in_one_export_are_refused() -> None:
    entries = [record(1, "10:00", "a.b"), record(2, "10:00", "a.b", workspace="other")]
    with pytest.raises(OtherWorkspace, match="position 2 is of the workspace `other`"):
        list(Backtest([rule(trigger=SILENCE)]).run(entries))


def line(position: int, event_type: str = "a.b", **parts: object) -> bytes:
    entry = wire.to_dict(record(position, "10:00", event_type, payload={"rows": 3}))
    return orjson.dumps({**entry, **parts})


def test_lines_of_an_export_become_records() -> None:
    [first, tick, fired] = exported.read(
        [line(3), b"\n", line(5, "clock.ticked"), line(6, "automation.triggered").decode()]
    )
    assert (first.position, first.received, first.event.payload_object()) == (3, moment("10:00"), {"rows": 3})
    assert [each.subject for each in (first, tick, fired)] == ["ev.", "ctl.", "fire."]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"{", "line 2: Input data was truncated"),
        (b'{"id": "x"}', "line 2: Object missing required field"),
        (line(3), "line 2: position 3 stands behind 3"),
        (line(0), "line 2: .*>= 1"),
        (line(9, received="2026-11-22T09:00:00"), "line 2: .*timezone"),
        (line(9, payload=[1]), "line 2: payload: must be a JSON object"),
        (line(9, id=""), "line 2: id, type and resource.id must not be empty"),
        (line(9).replace(b'"rows"', b'"\xff"'), "line 2: 'utf-8' codec"),
    ],
)
def test_a_bad_line_is_an_error_that_names_it(bad: bytes, reason: str) -> None:
    with pytest.raises(exported.NotAnExport, match=reason):
        list(exported.read([line(3), bad]))
