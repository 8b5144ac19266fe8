"""A deployment's document, made of a flow. Only metadata: names, the parameters' schema, when and where to run."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from airside.events import deployments
from airside.events.exceptions import Problem
from airside.sdk.flows.exceptions import BadOption

if TYPE_CHECKING:
    from airside.events.deployments import Deployment
    from airside.sdk.flows.flow import Flow

_MAX_FILE_BYTES: Final = 2**20


def build(
    flow: "Flow[..., Any]",
    name: str,
    *,
    entrypoint: str,
    storage: Mapping[str, Any],
    queue: str = deployments.DEFAULT_QUEUE,
    cron: str | None = None,
    every: str | float | None = None,
    timezone: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    tags: Iterable[str] = (),
    **more: Any,
) -> "Deployment":
    """Make a document of a flow. Raises InvalidDeployment naming each field that is wrong."""
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
        "schedules": _schedules(cron, every, timezone),
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


def to_yaml(deployment: "Deployment") -> str:
    """Write a document for people: what differs from its default, and what is changed most."""
    shown = {"queue": deployment.queue, "priority": deployment.priority, "retries": deployment.retries}
    written = deployment.to_document() | shown
    ordered = {name: written[name] for name in type(deployment).model_fields if name in written}
    text: str = yaml.safe_dump(ordered, sort_keys=False, allow_unicode=True, width=100)
    return text


def read(file: Path) -> list["Deployment"]:
    """Read the deployments of a file: one document, several with `---` between, or a list under `deployments`.

    Raises InvalidDeployment and OSError.
    """
    if file.stat().st_size > _MAX_FILE_BYTES:
        raise deployments.InvalidDeployment([Problem(str(file), "is larger than 1 MB")])
    try:
        found = list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        problem = Problem(str(file), f"not valid YAML: {error}")
        raise deployments.InvalidDeployment([problem]) from None
    documents = [entry for one in found if one is not None for entry in _entries(one)]
    if not documents:
        raise deployments.InvalidDeployment([Problem(str(file), "holds no deployment")])
    return [deployments.parse(document) for document in documents]


def _entries(one: Any) -> Sequence[Any]:
    if isinstance(one, Mapping) and set(one) == {"deployments"} and isinstance(one["deployments"], list):
        return one["deployments"]
    return one if isinstance(one, list) else [one]


def _schedules(cron: str | None, every: str | float | None, timezone: str | None) -> list[dict[str, Any]]:
    zone = {"timezone": timezone} if timezone else {}
    made: list[dict[str, Any]] = []
    if cron is not None:
        made.append({"name": "cron", "cron": cron, **zone})
    if every is not None:
        made.append({"name": "every", "every": every, **zone})
    if timezone and not made:
        raise BadOption("a time zone goes with a schedule")
    return made
