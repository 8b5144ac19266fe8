"""Sending a flow's deployment to the plane, and serving it from this process."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from airside.sdk.client import Client, path
from airside.sdk.deploying import document

if TYPE_CHECKING:
    from airside.events.deployments import Deployment
    from airside.sdk.flows.flow import Flow


def deploy(flow: "Flow[..., Any]", name: str, **options: Any) -> str:
    """Create or update the deployment `flow/name` of a flow in a file; gives that name."""
    return send(_of(flow, name, options), enable=None)


def send(deployment: "Deployment", *, enable: bool | None) -> str:
    """Send a document; `enable` None: whether it is paused stays as it is. Raises a ClientError."""
    body = to_body(deployment) | ({} if enable is None else {"enabled": enable})
    with Client() as client:
        client.request("POST", "/api/deployments", body=body)
    return deployment.full_name


def to_body(deployment: "Deployment") -> dict[str, Any]:
    """Write a document as it is sent: with `enabled` wherever the document itself says it."""
    body = deployment.to_document()
    if "enabled" in deployment.model_fields_set:
        body["enabled"] = deployment.enabled
    for schedule, written in zip(deployment.schedules, body.get("schedules", []), strict=True):
        if "enabled" in schedule.model_fields_set:
            written["enabled"] = schedule.enabled
    return body


def serve(flow: "Flow[..., Any]", name: str, *, limit: int, **options: Any) -> None:
    """Deploy a flow and carry its runs out in processes beside this one, until Ctrl-C; then pause it."""
    agent = import_module("airside.agent.working.serving")  # above this component: looked for when it is wanted
    made = _of(flow, name, {"queue": f"serve-{flow.name}-{name}"[:100], **options})
    full_name = send(made, enable=True)
    try:
        agent.serve(full_name, made.queue, limit)
    finally:
        with Client() as client:
            client.request("POST", path("deployments", *full_name.split("/", 1), "pause"))


def _of(flow: "Flow[..., Any]", name: str, options: dict[str, Any]) -> "Deployment":
    given = dict(options)
    entrypoint, storage = given.pop("entrypoint", None), given.pop("storage", None)
    if entrypoint is None or storage is None:
        own = document.here(flow)
        entrypoint, storage = entrypoint or own[0], storage or own[1]
    return document.build(flow, name, entrypoint=entrypoint, storage=storage, **given)
