"""The view `runs` against a naive model: in any order, twice, in batches of any size, a run becomes the same."""

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.property.budget import tries
from tests.views_samples import batches, record

from airside.coordinator.views import Views, reads
from airside.coordinator.views.fold.runs import Run, _begin
from airside.events import WireEvent, airflow, openlineage, run_facts, run_states
from airside.events.run_facts import RunFact

BASE = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
SEEN = ("state", "started", "ended", "duration", "attempt", "job", "parent", "kind")


def at(second: int) -> str:
    return (BASE + timedelta(seconds=second)).isoformat()


@st.composite
def task_events(draw: st.DrawFn) -> WireEvent:
    """Something about a try of a task: each try starts a thousand seconds after the one before."""
    attempt, length = draw(st.integers(1, 3)), draw(st.integers(1, 900))
    state = draw(st.sampled_from(["running", "success", "failed", "up_for_retry", "skipped"]))
    start = attempt * 1_000
    facts = {"dag_id": "d", "run_id": "r", "task_id": draw(st.sampled_from(["a", "b"])), "try_number": attempt}
    facts |= {"state": state, "start_date": at(start), "end_date": None if state == "running" else at(start + length)}
    return airflow.task_events("prod", facts)[0]


@st.composite
def dag_run_events(draw: st.DrawFn) -> WireEvent:
    """Something about a DAG run, which is cleared now and then: then it has a new start."""
    start, state = draw(st.integers(0, 3)) * 1_000, draw(st.sampled_from(["running", "success", "failed"]))
    end = None if state == "running" else at(start + draw(st.integers(1, 900)))
    event = airflow.dag_run_event(
        "prod", {"dag_id": "d", "run_id": "r", "state": state, "start_date": at(start), "end_date": end}
    )
    assert event is not None
    return event


@st.composite
def lineage_events(draw: st.DrawFn) -> WireEvent:
    """Something about an OpenLineage run; a late start is nothing special."""
    body = {
        "eventType": draw(st.sampled_from(["START", "RUNNING", "OTHER", "COMPLETE", "FAIL", "ABORT"])),
        "eventTime": at(draw(st.integers(0, 5_000))),
        "run": {"runId": draw(st.sampled_from(["1", "2"]))},
        "job": {"namespace": "n", "name": "j"},
    }
    return openlineage.parse(body)[0]


def history(draw_events: st.SearchStrategy[list[WireEvent]]) -> st.SearchStrategy[list[WireEvent]]:
    """Leave out events of one run at one time: which of two simultaneous words is the last is the log's order.

    And those whose id was there: an id is on the log once.
    """

    def distinct(events: list[WireEvent]) -> list[WireEvent]:
        kept: dict[tuple[Any, ...], WireEvent] = {}
        for event in {event.id: event for event in reversed(events)}.values():
            fact = run_facts.of(event)
            assert fact is not None
            kept.setdefault((fact.run, *fact.order), event)
        return list(kept.values())

    return draw_events.map(distinct)


HISTORIES = history(st.lists(st.one_of(task_events(), dag_run_events(), lineage_events()), min_size=1, max_size=25))


def naive(facts: list[RunFact]) -> dict[str, Any]:
    """Say what became of a run, all facts at hand."""
    generation = max(fact.generation for fact in facts)
    last = [fact for fact in facts if fact.generation == generation]
    final = [fact for fact in last if fact.state in run_states.TERMINAL]
    verdict = max(final or last, key=lambda fact: fact.time)
    starts = [fact.started for fact in last if fact.started is not None]
    started, ended = min(starts, default=None), verdict.time if final else None
    told = verdict.duration
    measured = max(0, ended - started) / 1e6 if ended is not None and started is not None else None
    attempts = [fact.attempt for fact in facts if fact.attempt is not None]
    return {
        "state": verdict.state,
        "started": started,
        "ended": ended,
        "duration": told if told is not None else measured,
        "attempt": max(attempts, default=None),
        "job": facts[0].job,
        "parent": facts[0].parent,
        "kind": facts[0].kind,
    }


def expected(events: list[WireEvent]) -> dict[str, dict[str, Any]]:
    facts: dict[str, list[RunFact]] = {}
    for event in events:
        fact = run_facts.of(event)
        assert fact is not None
        facts.setdefault(fact.run, []).append(fact)
    return {run: naive(told) for run, told in facts.items()}


@tries(200)
@given(HISTORIES, st.randoms(use_true_random=False))
def test_a_run_is_what_all_events_say_in_whatever_order_they_come(events: list[WireEvent], random: Any) -> None:
    shuffled = events + random.choices(events, k=3)
    random.shuffle(shuffled)
    rows: dict[str, Run] = {}
    for position, event in enumerate(shuffled, 1):
        fact, entry = run_facts.of(event), record(position, event)
        assert fact is not None
        rows.setdefault(fact.run, _begin(fact, entry)).note(fact, entry)
    assert {run: {name: getattr(row, name) for name in SEEN} for run, row in rows.items()} == expected(events)


@tries(12)
@given(HISTORIES, st.lists(st.integers(1, 6), max_size=6))
def test_the_view_does_not_depend_on_where_batches_end(events: list[WireEvent], sizes: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        views = Views.open(Path(folder) / "views.duckdb")
        for each in batches([record(position, event) for position, event in enumerate(events, 1)], sizes):
            views.apply(each)
        found = {run["id"]: run for run in views.read(reads.list_runs, "default", limit=100).items}
        views.close()
    model = expected(events)
    assert found.keys() == model.keys()
    for run, said in model.items():
        assert (found[run]["state"], found[run]["duration"], found[run]["attempt"], found[run]["parent"]) == (
            said["state"],
            said["duration"],
            said["attempt"],
            said["parent"],
        )
        assert (found[run]["ended"] is None) == (said["ended"] is None)
