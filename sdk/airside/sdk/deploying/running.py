"""Starting runs of deployments, from a flow or from any program."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from airside.events import run_states
from airside.events.run_states import State
from airside.sdk.client import Client, path
from airside.sdk.exceptions import CannotReach, NotFound, ServerFailed
from airside.sdk.flows import context, reporting

_LOOK_SECONDS: Final = 20.0
_AWAY_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class DeploymentRun:
    """A run of a deployment: its id, and the state it was last seen in (None: nobody has looked)."""

    id: str
    state: State | None = None


def run_deployment(
    name: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    infrastructure: Mapping[str, Any] | None = None,
    wait: bool | float | timedelta = True,
    idempotency_key: str | None = None,
) -> DeploymentRun:
    """Start a run of the deployment `flow/name`; by default wait until it has ended.

    `wait` is False, or how long at most (seconds): then the state is what it is by that time. Inside a flow the new run
    is related to that flow's run as `parent`; with an idempotency key the same call again gives the same run.
    `infrastructure` are settings for this run in place of the deployment's. Raises a ClientError: NotFound, or Refused
    for parameters and settings that do not fit.
    """
    body: dict[str, Any] = {"parameters": dict(parameters or {}), "infrastructure": dict(infrastructure or {})}
    outer = context.flow_context.get()
    if outer is not None:
        body["parent"] = reporting.resource_id(outer.run.id)
    if idempotency_key is not None:
        body["idempotency_key"] = idempotency_key
    with Client() as client:
        made = client.request("POST", path("deployments", *name.split("/", 1), "run"), body=body)
        run = str(made["id"]).rpartition("/")[2]
        if wait is False:
            return DeploymentRun(run)
        seconds = None if wait is True else wait.total_seconds() if isinstance(wait, timedelta) else float(wait)
        return DeploymentRun(run, _wait(client, run, seconds, outer))


def _wait(client: Client, run: str, seconds: float | None, outer: "context.FlowContext | None") -> State | None:
    """Wait for the end of a run; inside a flow no longer than that may go on. Raises RunCancelled."""
    end = None if seconds is None else time.monotonic() + seconds
    state, seq = None, 0
    while True:
        if outer is not None:
            outer.stop.check()
        left = _LOOK_SECONDS if end is None else min(end - time.monotonic(), _LOOK_SECONDS)
        if left <= 0 and state is not None:
            return state
        step = min(max(left, 0.0), 2.0) if outer is not None else max(left, 0.0)
        try:
            found = client.get(path("runs", run, "state"), {"after": seq, "wait": f"{step:.3f}"})
        except (CannotReach, ServerFailed, NotFound):
            if end is not None and time.monotonic() >= end:
                return state
            time.sleep(_AWAY_SECONDS)
            continue
        state, seq = State(found["state"]), int(found["seq"])
        if state in run_states.TERMINAL:
            return state
