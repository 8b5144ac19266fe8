"""What the actions of an automation need of the server and do not find there, told before it ever fires."""

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from ipaddress import ip_address
from typing import Any, Final

import httpx

from airside.coordinator.actions import airflow, notify, signing, webhook
from airside.coordinator.actions.exceptions import ActionRefused
from airside.coordinator.actions.settings import ActionSettings
from airside.coordinator.outbound import AllowList, is_public

_AIRFLOW_KINDS: Final = frozenset({"trigger_dag", "pause_dag", "unpause_dag", "clear_dag_run"})
_LOCAL_NAMES: Final = {"localhost": "127.0.0.1"}
_PORTS: Final = {"http": 80, "https": 443}


def missing(document: Mapping[str, Any], settings: ActionSettings) -> list[tuple[str, str]]:
    """Find variables that are not set, an extra that is not there, addresses that may not be asked: (path, message).

    `document` is a normalised automation. Hosts that are names are not resolved: what they lead to may change until
    the automation fires.
    """
    return [
        (f"{part}.{number}.{kind}", message)
        for part in ("actions", "on_resolve")
        for number, entry in enumerate(document.get(part) or ())
        for kind, parameters in entry.items()
        for message in _of_action(kind, parameters, settings)
    ]


def _of_action(kind: str, parameters: Mapping[str, Any], settings: ActionSettings) -> Iterator[str]:
    environment = settings.environment
    try:
        if kind == "notify":
            notify.urls(environment, str(parameters.get("to", "")))
            if find_spec("apprise") is None:
                yield notify.MISSING
        elif kind == "webhook":
            yield from _of_webhook(parameters, settings)
        elif kind in _AIRFLOW_KINDS:
            airflow.looked_up(environment, parameters.get("airflow"))
    except ActionRefused as error:
        yield str(error)


def _of_webhook(parameters: Mapping[str, Any], settings: ActionSettings) -> Iterator[str]:
    environment = settings.environment
    for value in (*parameters.get("headers", {}).values(), str(parameters["url"])):
        try:
            webhook.looked_up(environment, str(value))
        except ActionRefused as error:
            yield str(error)
    if secret := parameters.get("secret"):
        try:
            signing.keys(environment, str(secret))
        except ActionRefused as error:
            yield str(error)
    yield from _private(str(parameters["url"]), settings)


def _private(url: str, settings: ActionSettings) -> Iterator[str]:
    """Look at a host that is written as an address."""
    try:
        parsed = httpx.URL(url)
        address = ip_address(_LOCAL_NAMES.get(parsed.host, parsed.host))
    except (httpx.InvalidURL, ValueError):
        return
    port = parsed.port or _PORTS.get(parsed.scheme, 443)
    allowed = AllowList.parse(settings.outbound.allow_private)
    if not is_public(address) and not allowed.allows(parsed.host, port, address):
        yield f"{parsed.host} is not public: if it is meant, set AIRSIDE_ALLOW_PRIVATE={parsed.host}:{port}"
