"""What users import, and the `airside` command.

Names are imported when they are first used, so that `import airside.sdk` costs a job nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airside.sdk.blocks import Block, Secret
    from airside.sdk.deploying.running import DeploymentRun, run_deployment
    from airside.sdk.emitting.api import aemit, emit, emit_stats, flush
    from airside.sdk.emitting.heartbeat import heartbeat
    from airside.sdk.flows import runtime
    from airside.sdk.flows.approval import apause, pause
    from airside.sdk.flows.artifacts import (
        create_image_artifact,
        create_link_artifact,
        create_markdown_artifact,
        create_progress_artifact,
        create_table_artifact,
        update_progress_artifact,
    )
    from airside.sdk.flows.caching import INPUTS, NONE, RUN, SOURCE, TASK
    from airside.sdk.flows.context import tags
    from airside.sdk.flows.flow import flow
    from airside.sdk.flows.futures import allow_failure, unmapped
    from airside.sdk.flows.logs import get_run_logger
    from airside.sdk.flows.materializing import add_metadata, materialize
    from airside.sdk.flows.retries import exponential
    from airside.sdk.flows.runners.dask import DaskRunner
    from airside.sdk.flows.runners.processes import ProcessRunner
    from airside.sdk.flows.runners.ray import RayRunner
    from airside.sdk.flows.runners.threads import ThreadRunner
    from airside.sdk.flows.states import State, completed, failed
    from airside.sdk.flows.suspending import resume, suspend
    from airside.sdk.flows.task import task
    from airside.sdk.flows.transactions import transaction
    from airside.sdk.limits import arate_limit, concurrency, rate_limit, set_local_limit

__all__ = [
    "INPUTS",
    "NONE",
    "RUN",
    "SOURCE",
    "TASK",
    "Block",
    "DaskRunner",
    "DeploymentRun",
    "ProcessRunner",
    "RayRunner",
    "Secret",
    "State",
    "ThreadRunner",
    "add_metadata",
    "aemit",
    "allow_failure",
    "apause",
    "arate_limit",
    "completed",
    "concurrency",
    "create_image_artifact",
    "create_link_artifact",
    "create_markdown_artifact",
    "create_progress_artifact",
    "create_table_artifact",
    "emit",
    "emit_stats",
    "exponential",
    "failed",
    "flow",
    "flush",
    "get_run_logger",
    "heartbeat",
    "materialize",
    "pause",
    "rate_limit",
    "resume",
    "run_deployment",
    "runtime",
    "set_local_limit",
    "suspend",
    "tags",
    "task",
    "transaction",
    "unmapped",
    "update_progress_artifact",
]

#: Each module of this package, and what is imported from it.
_FROM = {
    "blocks": "Block Secret",
    "deploying.running": "DeploymentRun run_deployment",
    "emitting.api": "aemit emit emit_stats flush",
    "emitting.heartbeat": "heartbeat",
    "flows.approval": "apause pause",
    "flows.artifacts": "create_image_artifact create_link_artifact create_markdown_artifact create_progress_artifact"
    " create_table_artifact update_progress_artifact",
    "flows.caching": "INPUTS NONE RUN SOURCE TASK",
    "flows.context": "tags",
    "flows.flow": "flow",
    "flows.futures": "allow_failure unmapped",
    "flows.logs": "get_run_logger",
    "flows.materializing": "add_metadata materialize",
    "flows.retries": "exponential",
    "flows.runners.dask": "DaskRunner",
    "flows.runners.processes": "ProcessRunner",
    "flows.runners.ray": "RayRunner",
    "flows.runners.threads": "ThreadRunner",
    "flows.states": "State completed failed",
    "flows.suspending": "resume suspend",
    "flows.task": "task",
    "flows.transactions": "transaction",
    "limits": "arate_limit concurrency rate_limit set_local_limit",
}
_WHERE = {name: f"{__name__}.{module}" for module, names in _FROM.items() for name in names.split()}
_MODULES = {"runtime": "flows.runtime"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        found: Any = import_module(f"{__name__}.{_MODULES[name]}")
    elif name in _WHERE:
        found = getattr(import_module(_WHERE[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
