"""Changes of runs that are written in pieces say what their events say."""

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airside.events import run_states
from airside.events.run_states import State
from airside.sdk.emitting import message
from airside.sdk.flows import reporting, writing
from airside.sdk.flows.reporting import Run

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
_RUNS = st.builds(
    lambda kind, identifier, name, tag, labels, upstream: Run(
        kind=kind,
        id=identifier,
        name=name,
        labels=labels,
        related=[
            reporting.related("flow", "flow", name),
            {"id": f"tag://{tag}", "role": "tag", "kind": "tag", "name": tag},
            *(reporting.related_run("upstream", Run(kind="task_run", id=one, name=one)) for one in upstream),
        ],
    ),
    st.sampled_from(["flow_run", "task_run"]),
    _TEXT,
    _TEXT,
    _TEXT,
    st.dictionaries(_TEXT, _TEXT, max_size=2),
    st.lists(_TEXT, max_size=2),
)


@given(run=_RUNS, states=st.lists(st.sampled_from(State), min_size=1, max_size=4))
def test_a_line_is_the_event(run: Run, states: list[State]) -> None:
    for state in states:
        change = run.change(state)
        line = writing.line(change, "airside://here/1")
        assert line is not None
        event = {**change.event(), "source": "airside://here/1"}
        assert json.loads(line) == json.loads(message.encode(event))
        assert line.count(b"\n") == 1
        assert line.endswith(b"\n")
        run.attempt += 1


def test_what_says_more_is_left_to_the_event() -> None:
    run = Run(kind="task_run", id="1", name="load", details={"version": "2"})
    assert writing.line(run.change(State.PENDING), "here") is None
    assert writing.line(run.change(State.RUNNING), "here") is not None
    assert writing.line(run.change(State.RETRYING, "torn"), "here") is None
    assert writing.line(run.change(State.RUNNING, attempts=3), "here") is None
    assert writing.line(run.change(State.FAILED, error=ValueError()), "here") is None


def test_text_that_is_none_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        writing.line(Run(kind="task_run", id="1", name="\ud800").change(State.RUNNING), "here")


def test_what_is_kept_for_writing_does_not_travel() -> None:
    run = Run(kind="task_run", id="1", name="load", related=[reporting.related("flow", "flow", "nightly")])
    outer = reporting.related_run("flow_run", run)
    writing.line(run.change(State.RUNNING), "here")
    found, known = pickle.loads(pickle.dumps((run, outer)))
    assert (found, known) == (run, outer)
    assert (found.written, found.known_as) == ("", {})
    assert not hasattr(known, "written")
    assert json.loads(writing.line(found.change(State.COMPLETED), "here") or "")["resource"]["name"] == "load"
    assert found.state in run_states.TERMINAL
