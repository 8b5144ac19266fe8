"""A deployment's document, made of a flow. Only metadata: names, the parameters' schema, when and where to run."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airside.events import deployments
from airside.sdk.deploying.schedules import Several, schedules
from airside.sdk.flows.exceptions import BadOption

if TYPE_CHECKING:
    from airside.events.deployments import Deployment
    from airside.sdk.flows.flow import Flow


def build(
    flow: "Flow[..., Any]",
    name: str,
    *,
    entrypoint: str,
    storage: Mapping[str, Any],
    queue: str = deployments.DEFAULT_QUEUE,
    cron: Several = None,
    every: Several = None,
    rrule: Several = None,
    at: Several = None,
    timezone: str | None = None,
    anchor: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    tags: Iterable[str] = (),
    **more: Any,
) -> "Deployment":
    """Make a document of a flow; `more` are keys as the document has them.

    `schedules` among them goes instead of `cron`, `every`, `rrule` and `at`, of which each may be several. Raises
    InvalidDeployment naming each field that is wrong, and BadOption.
    """
    document: dict[str, Any] = {
        "name": name,
        "flow": flow.name,
        "entrypoint": entrypoint,
        "version": flow.options.version or flow.source_version(),
        "description": flow.options.description,
        "tags": sorted({*flow.options.tags, *tags}),
        "parameters": dict(parameters or {}),
        "parameters_schema": flow.parameters.json_schema(),
        "queue": queue,
        "schedules": schedules(cron=cron, every=every, rrule=rrule, at=at, timezone=timezone, anchor=anchor),
        "storage": dict(storage),
        **more,
    }
    return deployments.parse({key: value for key, value in document.items() if value not in (None, [], {}, "")})


def here(flow: "Flow[..., Any]") -> tuple[str, dict[str, str]]:
    """Give the entry point of a flow of a file on this machine, and the storage it is in. Raises BadOption."""
    import inspect  # noqa: PLC0415 - for this alone

    file = inspect.getsourcefile(flow.fn)
    names = flow.fn.__qualname__
    if file is None or not Path(file).is_file() or not names.isidentifier():
        raise BadOption(f"{flow.name} must be a function at the top of a file: an agent has to find it there")
    path = Path(file).absolute()
    return f"{path.name}:{names}", {"kind": "path", "path": str(path.parent)}
