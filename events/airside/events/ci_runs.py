"""Runs of GitHub Actions, GitLab CI and the dbt platform, as their webhooks tell of them.

source     event type                 the run is                    its job
github     github.workflow_run.*      related run                   the resource, a workflow
github     github.workflow_job.*      the resource, a part of it    the resource
gitlab     gitlab.pipeline.*          related run                   the resource, a project
gitlab     gitlab.build.*             the resource, a part of it    the resource
dbt-cloud  dbt_cloud.job.run.*        related run                   the resource, a job
"""

from collections.abc import Mapping
from typing import Any, Final

from airside.events import run_states, wire
from airside.events.run_fact import (
    RunFact,
    id_of,
    micros_of,
    payload_of,
    positive_of,
    roles_of,
    running_since,
    seconds_of,
)
from airside.events.run_states import State
from airside.events.wire import Micros, WireEvent

_S = State
_MAX_URL_CHARS: Final = 2_000
_SECOND: Final = 1_000_000
#: For each source, the state of a run that each of its words stands for.
WORDS: Final[Mapping[str, Mapping[str, State]]] = {
    "github": {
        "requested": _S.SCHEDULED,
        "queued": _S.SCHEDULED,
        "pending": _S.PENDING,
        "waiting": _S.PAUSED,
        "action_required": _S.PAUSED,
        "in_progress": _S.RUNNING,
        "success": _S.COMPLETED,
        "neutral": _S.COMPLETED,
        "failure": _S.FAILED,
        "timed_out": _S.FAILED,
        "startup_failure": _S.FAILED,
        "cancelled": _S.CANCELLED,
        "stale": _S.CANCELLED,
        "skipped": _S.SKIPPED,
    },
    "gitlab": {
        "created": _S.SCHEDULED,
        "scheduled": _S.SCHEDULED,
        "waiting_for_resource": _S.PENDING,
        "waiting_for_callback": _S.PENDING,
        "preparing": _S.PENDING,
        "pending": _S.PENDING,
        "manual": _S.PAUSED,
        "running": _S.RUNNING,
        "canceling": _S.CANCELLING,
        "success": _S.COMPLETED,
        "failed": _S.FAILED,
        "canceled": _S.CANCELLED,
        "skipped": _S.SKIPPED,
    },
    "dbt-cloud": {
        "queued": _S.SCHEDULED,
        "starting": _S.PENDING,
        "started": _S.RUNNING,
        "running": _S.RUNNING,
        "success": _S.COMPLETED,
        "completed": _S.COMPLETED,
        "error": _S.FAILED,
        "errored": _S.FAILED,
        "cancelled": _S.CANCELLED,
    },
}


def of_github(event: WireEvent) -> RunFact | None:
    """Read a workflow's run, or one of its jobs. A re-run begins the run anew, as its next attempt."""
    _, _, rest = event.type.partition(".")
    what, _, word = rest.partition(".")
    state, run = WORDS["github"].get(word), roles_of(event).get("run")
    if what not in ("workflow_run", "workflow_job") or state is None or run is None:
        return None
    payload = payload_of(event)
    is_job, attempt, number = what == "workflow_job", positive_of(payload.get("attempt")), payload.get("number")
    started = _moment(payload.get("started")) if state is not State.SCHEDULED else None
    return RunFact(
        run=event.resource.id if is_job else run.id,
        source="github",
        kind="task" if is_job else "run",
        state=state,
        time=_ended(event, state, payload.get("completed")),
        job=event.resource.id,
        job_name=event.resource.name,
        name=event.resource.name if is_job else f"#{number}" if isinstance(number, int | str) else None,
        url=_url(payload.get("url")),
        parent=run.id if is_job else None,
        started=started if started is not None else running_since(event, state),
        attempt=attempt,
        generation=attempt or 0,
    )


def of_gitlab(event: WireEvent) -> RunFact | None:
    """Read a pipeline, or one of its jobs. What was tried again goes on as the same pipeline, until its next end."""
    _, _, rest = event.type.partition(".")
    what, _, word = rest.partition(".")
    state, run = WORDS["gitlab"].get(word), roles_of(event).get("run")
    if what not in ("pipeline", "build") or state is None or run is None:
        return None
    payload = payload_of(event)
    is_job, duration = what == "build", seconds_of(payload.get("duration"))
    time = _ended(event, state, payload.get("finished_at"))
    started = _moment(payload.get("started_at"))
    if started is None and state in run_states.TERMINAL and duration:
        started = time - round(duration * _SECOND)
    name = payload.get("name")
    return RunFact(
        run=event.resource.id if is_job else run.id,
        source="gitlab",
        kind="task" if is_job else "run",
        state=state,
        time=time,
        job=event.resource.id,
        job_name=event.resource.name,
        name=name if isinstance(name, str) and name else f"#{run.id.rpartition('/')[2]}",
        url=_url(payload.get("url")),
        parent=run.id if is_job else id_of(roles_of(event).get("parent")),
        started=started if started is not None else running_since(event, state),
        duration=duration if state in run_states.TERMINAL else None,
    )


def of_dbt_cloud(event: WireEvent) -> RunFact | None:
    """Read a job's run. `completed` says that it has ended, `runStatus` how."""
    word, run = event.type.removeprefix("dbt_cloud.job.run."), roles_of(event).get("run")
    payload, words = payload_of(event), WORDS["dbt-cloud"]
    told = str(payload.get("runStatus") or "").lower()
    state = words.get(told if word == "completed" and told in words else word)
    if state is None or run is None:
        return None
    finished = payload.get("runFinishedAt") or payload.get("runErroredAt")
    started = _moment(payload.get("runStartedAt"))
    return RunFact(
        run=run.id,
        source="dbt-cloud",
        kind="run",
        state=state,
        time=_ended(event, state, finished),
        job=event.resource.id,
        job_name=event.resource.name,
        name=f"#{run.id.rpartition('/')[2]}",
        url=_url(payload.get("url")),
        started=started if started is not None else running_since(event, state),
    )


def _ended(event: WireEvent, state: State, finished: Any) -> Micros:
    """Give when a run ended where the payload says so, else the event's own time."""
    moment = _moment(finished) if state in run_states.TERMINAL else None
    return moment if moment is not None else wire.to_micros(event.time)


def _moment(value: object) -> Micros | None:
    """Read a time; GitLab writes some as `2016-08-12 15:26:29 UTC`."""
    if isinstance(value, str) and value.endswith(" UTC"):
        value = f"{value[:-4]}+00:00"
    return micros_of(value)


def _url(value: object) -> str | None:
    """Take an address that people can open, and no other."""
    fits = isinstance(value, str) and len(value) <= _MAX_URL_CHARS and value.startswith(("https://", "http://"))
    return str(value) if fits else None
