"""How a flow run begins: new, or one that this process was started for; its name, relations and facts."""

import os
import platform
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airside.events.run_states import State as Kind
from airside.sdk.emitting import message
from airside.sdk.flows import context, naming, reporting, suspending
from airside.sdk.flows.context import FlowContext
from airside.sdk.flows.digests import digest
from airside.sdk.flows.reporting import Run

if TYPE_CHECKING:
    from airside.sdk.flows.flow import Flow

#: Set for the process that an agent starts: the run that it is to carry out, and how many changes it has had.
RUN_ID, RUN_SEQ = "AIRSIDE_RUN_ID", "AIRSIDE_RUN_SEQ"
#: Also set then: what the run is called, the deployment (flow/name) and the queue it comes from.
RUN_NAME, DEPLOYMENT, QUEUE = "AIRSIDE_RUN_NAME", "AIRSIDE_RUN_DEPLOYMENT", "AIRSIDE_RUN_QUEUE"
#: The commit of the code, where the agent knows it.
CODE_VERSION = "AIRSIDE_CODE_VERSION"


def resumption(flow: "Flow[..., Any]") -> suspending.Resumption | None:
    """Give what this process carries on: as the caller says, or as the environment does."""
    given = os.environ.get(RUN_ID)
    return suspending.taken() or (suspending.of_environment(flow, given) if given else None)


def _digest(values: Mapping[str, Any]) -> str | None:
    """Tell runs with the same parameters from others, without their values; None for what cannot be digested."""
    try:
        return digest(dict(values))[:16] if values else None
    except Exception:  # noqa: BLE001 - people's objects
        return None


def _origin(deployment: str, queue: str) -> list[dict[str, Any]]:
    """Relate the run to what it was started from, with the ids that the plane gives them."""
    found = []
    if deployment:
        about = {"id": f"deployment://{deployment}", "role": "deployment", "kind": "deployment", "name": deployment}
        found.append(about)
    if queue:
        found.append({"id": f"queue://{queue}", "role": "queue", "kind": "queue", "name": queue})
    return found


def safe(name: str) -> str:
    """Write a name as one part of a path."""
    return quote(name, safe="").replace(".", "%2E")


def new_run(
    flow: "Flow[..., Any]",
    values: Mapping[str, Any],
    parent: FlowContext | None,
    outer: "context.TaskContext | None",
    resumed: suspending.Resumption | None,
) -> tuple[Run, frozenset[str]]:
    """Make the run of a call, and give it with its tags."""
    given = os.environ.pop(RUN_ID, None) if parent is None else None
    seq = os.environ.pop(RUN_SEQ, "") if given else ""
    run_id = given or (resumed.left.run if resumed is not None else message.uuid7())
    tags = flow.options.tags | context.current_tags() | (parent.tags if parent is not None else frozenset())
    labels, related = naming.tagged(tags)
    related.insert(0, reporting.related("flow", "flow", flow.name))
    called = None
    if given:
        called = os.environ.pop(RUN_NAME, None)
        related += _origin(os.environ.pop(DEPLOYMENT, ""), os.environ.pop(QUEUE, ""))
    if parent is not None:
        related.append(reporting.related_run("parent", parent.run))
    if outer is not None:
        related.append(reporting.related_run("parent_task", outer.run))
    run = Run(
        kind="flow_run",
        id=run_id,
        name=naming.run_name(flow.options, values, called or f"{flow.name}-{run_id[-8:]}"),
        related=related,
        labels=labels,
        details={
            "version": flow.options.version or flow.source_version(),
            **({"code_version": code} if (code := os.environ.get(CODE_VERSION)) else {}),
            "parameter_names": list(values),
            "parameters_hash": _digest(values),
            "hostname": platform.node(),
            "pid": os.getpid(),
            "python": platform.python_version(),
        },
        seq=int(seq or 0),
        is_own=not given and resumed is None,
        claimed=bool(seq),
    )
    if resumed is not None:
        run.state = Kind.SUSPENDED if run.seq <= resumed.left.seq else None  # else somebody has changed it since
        run.seq = max(run.seq, resumed.left.seq)
    return run, tags
