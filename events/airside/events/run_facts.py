"""What an event says about a run, whoever's run it is: the one place that knows how each source tells of its runs.

    source       event type                     the run is                      its job
    airside      flow_run.*, task_run.*         the resource                    related deployment, flow or task
    airflow      airflow.dag_run.*              related run                     the resource, a DAG
    airflow      airflow.task.*                 <related run>/<task>[/<map>]    the resource, a task
    dbt          dbt.invocation.*               related run                     the resource, a project
    dbt          dbt.<kind>.*                   <related run>/<node>            the resource, a node
    openlineage  openlineage.run.*              related run                     the resource, a job
    prefect      prefect.flow-run.*, .task-run.*  the resource                  related deployment or flow
    github, gitlab, dbt-cloud                       see `ci_runs`

Facts about one run may come late, twice and in any order. So each fact can be compared with any other (`order`):
the run is what its greatest fact says. A greater `generation` is the run begun anew: a DAG run that was cleared has
another start, a task has its next try. Within one, what is final beats what is not; then the later time wins.
"""

from collections.abc import Callable, Mapping
from typing import Final

from airside.events import ci_runs, foreign, run_states, wire
from airside.events.run_fact import (
    RunFact,
    first_of,
    id_of,
    micros_of,
    part_of,
    payload_of,
    positive_of,
    roles_of,
    running_since,
    seconds_of,
)
from airside.events.run_states import State
from airside.events.wire import WireEvent

__all__ = ["SOURCES", "WORDS", "RunFact", "of", "run_of"]

_S = State
#: For each source, the state of a run that each of its words stands for.
WORDS: Final[Mapping[str, Mapping[str, State]]] = {
    "airflow": {
        "running": _S.RUNNING,
        "success": _S.COMPLETED,
        "failed": _S.FAILED,
        "retry": _S.RETRYING,
        "skipped": _S.SKIPPED,
        "upstream_failed": _S.SKIPPED,
        "removed": _S.CANCELLED,
    },
    "dbt": {
        "started": _S.RUNNING,
        "completed": _S.COMPLETED,
        "success": _S.COMPLETED,
        "pass": _S.COMPLETED,
        "warn": _S.COMPLETED,
        "reused": _S.CACHED,
        "error": _S.FAILED,
        "fail": _S.FAILED,
        "runtime_error": _S.FAILED,
        "partial_success": _S.FAILED,
        "crashed": _S.CRASHED,
        "skipped": _S.SKIPPED,
        "no_op": _S.SKIPPED,
    },
    "openlineage": {
        "start": _S.RUNNING,
        "running": _S.RUNNING,
        "other": _S.RUNNING,
        "complete": _S.COMPLETED,
        "abort": _S.CANCELLED,
        "fail": _S.FAILED,
    },
    "prefect": {
        "scheduled": _S.SCHEDULED,
        "late": _S.LATE,
        "pending": _S.PENDING,
        "submitting": _S.PENDING,
        "awaitingconcurrencyslot": _S.PENDING,
        "running": _S.RUNNING,
        "retrying": _S.RUNNING,
        "awaitingretry": _S.RETRYING,
        "paused": _S.PAUSED,
        "suspended": _S.SUSPENDED,
        "resuming": _S.RESUMED,
        "cancelling": _S.CANCELLING,
        "completed": _S.COMPLETED,
        "cached": _S.CACHED,
        "failed": _S.FAILED,
        "timedout": _S.FAILED,
        "rolledback": _S.FAILED,
        "crashed": _S.CRASHED,
        "cancelled": _S.CANCELLED,
    },
    **ci_runs.WORDS,
}
#: Sources whose words are states already.
SOURCES: Final = ("airside", *WORDS)


def of(event: WireEvent) -> RunFact | None:
    """Give what an event says about a run; None for an event that is not about one. Never fails."""
    reader = _READERS.get(event.type.partition(".")[0])
    return reader(event) if reader else None


def run_of(event: WireEvent) -> str | None:
    """Give the id of the run that an event is about, if any."""
    fact = of(event)
    return fact.run if fact else None


def _own(event: WireEvent) -> RunFact | None:
    state = run_states.of_type(event.type)
    if state is None:
        return None
    roles = roles_of(event)
    is_task = event.type.startswith("task_run.")
    job = first_of(roles, ("task", "job") if is_task else ("deployment", "flow", "job"))
    payload = payload_of(event)
    return RunFact(
        run=event.resource.id,
        source="airside",
        kind="task" if is_task else "run",
        state=state,
        time=wire.to_micros(event.time),
        job=job.id if job else None,
        job_name=job.name if job else None,
        name=event.resource.name,
        parent=id_of(first_of(roles, ("flow_run", "parent"))),
        started=running_since(event, state),
        duration=seconds_of(payload.get("duration")),
        attempt=positive_of(payload.get("attempt")),
    )


def _airflow(event: WireEvent) -> RunFact | None:
    _, _, rest = event.type.partition(".")
    what, _, word = rest.partition(".")
    state, run = WORDS["airflow"].get(word), roles_of(event).get("run")
    if what not in ("dag_run", "task") or state is None or run is None:
        return None
    payload = payload_of(event)
    start = micros_of(payload.get("start_date"))
    started = start if start is not None else running_since(event, state)
    place, attempt = foreign.number(payload.get("map_index"), -1), positive_of(payload.get("try_number"))
    is_task = what == "task"
    clear = payload.get("clear_number")
    return RunFact(
        run=part_of(run.id, event.resource.id, str(place) if place >= 0 else "") if is_task else run.id,
        source="airflow",
        kind="task" if is_task else "run",
        state=state,
        time=wire.to_micros(event.time),
        job=event.resource.id,
        job_name=event.resource.name,
        name=(f"{event.resource.name}[{place}]" if place >= 0 else event.resource.name) if is_task else run.name,
        parent=run.id if is_task else None,
        started=started,
        duration=seconds_of(payload.get("duration")),
        attempt=attempt if is_task else (clear + 1 if type(clear) is int and 0 <= clear < 2**31 else None),
        generation=(attempt or 0) if is_task else (start or 0),
    )


def _dbt(event: WireEvent) -> RunFact | None:
    _, _, rest = event.type.partition(".")
    what, _, word = rest.partition(".")
    state, run = WORDS["dbt"].get(word), roles_of(event).get("run")
    if state is None or run is None:
        return None
    payload = payload_of(event)
    is_task = what != "invocation"
    if not is_task and payload.get("success") is False:
        state = State.CRASHED if payload.get("signal") else State.FAILED
    command = payload.get("command")
    start = micros_of(payload.get("started_at"))
    return RunFact(
        run=part_of(run.id, event.resource.id) if is_task else run.id,
        source="dbt",
        kind="task" if is_task else "run",
        state=state,
        time=wire.to_micros(event.time),
        job=event.resource.id,
        job_name=event.resource.name,
        name=event.resource.name if is_task else command if isinstance(command, str) else None,
        parent=run.id if is_task else None,
        started=start if start is not None else running_since(event, state),
        duration=seconds_of(payload.get("duration")),
    )


def _openlineage(event: WireEvent) -> RunFact | None:
    state, roles = WORDS["openlineage"].get(event.type.removeprefix("openlineage.run.")), roles_of(event)
    run = roles.get("run")
    if state is None or run is None:
        return None
    parent = id_of(roles.get("parent"))
    return RunFact(
        run=run.id,
        source="openlineage",
        kind="task" if parent else "run",
        state=state,
        time=wire.to_micros(event.time),
        job=event.resource.id,
        job_name=event.resource.name,
        name=run.name,
        parent=parent if parent != run.id else None,
        started=wire.to_micros(event.time) if event.type == "openlineage.run.start" else None,
        duration=seconds_of(payload_of(event).get("duration")),
    )


def _prefect(event: WireEvent) -> RunFact | None:
    _, _, rest = event.type.partition(".")
    what, _, word = rest.partition(".")
    if what not in ("flow-run", "task-run") or word in ("", "heartbeat"):
        return None
    labels, roles = event.resource.labels, roles_of(event)
    words = WORDS["prefect"]
    # People may name states; the type is one of a few words.
    state = words.get(word.lower()) or words.get(labels.get("prefect.state-type", "").lower())
    if state is None:
        return None
    is_task = what == "task-run"
    job = first_of(roles, ("task",) if is_task else ("deployment", "flow"))
    count = labels.get("prefect.run-count", "")
    attempt = int(count) if count.isascii() and count.isdecimal() and len(count) < 9 else 0
    return RunFact(
        run=event.resource.id,
        source="prefect",
        kind="task" if is_task else "run",
        state=state,
        time=wire.to_micros(event.time),
        job=job.id if job else None,
        job_name=job.name if job else None,
        name=event.resource.name,
        parent=id_of(first_of(roles, ("flow-run",))) if is_task else None,
        started=running_since(event, state),
        attempt=attempt or None,
        generation=attempt,
    )


_READERS: Final[Mapping[str, Callable[[WireEvent], RunFact | None]]] = {
    "flow_run": _own,
    "task_run": _own,
    "airflow": _airflow,
    "dbt": _dbt,
    "openlineage": _openlineage,
    "prefect": _prefect,
    "github": ci_runs.of_github,
    "gitlab": ci_runs.of_gitlab,
    "dbt_cloud": ci_runs.of_dbt_cloud,
}
