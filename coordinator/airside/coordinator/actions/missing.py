"""What the actions of an automation need of the server and do not find there, told before it ever fires."""

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from ipaddress import ip_address
from typing import Any, Final

import httpx

from airside.coordinator.actions import airflow, named, notify, signing
from airside.coordinator.actions.exceptions import ActionRefused
from airside.coordinator.actions.settings import ActionSettings
from airside.coordinator.outbound import AllowList, is_public
from airside.events.references import reference

_AIRFLOW_KINDS: Final = frozenset({"trigger_dag", "pause_dag", "unpause_dag", "clear_dag_run"})
_LOCAL_NAMES: Final = {"localhost": "127.0.0.1"}
_PORTS: Final = {"http": 80, "https": 443}


def missing(
    document: Mapping[str, Any], settings: ActionSettings, blocks: Mapping[str, str] | None = None
) -> list[tuple[str, str]]:
    """Find variables that are not set, an extra that is not there, addresses that may not be asked: (path, message).

    `document` is a normalised automation; `blocks` are the names and types of the blocks there are, None when nobody
    knows. Hosts that are names are not resolved: what they lead to may change until
    the automation fires.
    """
    return [
        (f"{part}.{number}.{kind}", message)
        for part in ("actions", "on_resolve")
        for number, entry in enumerate(document.get(part) or ())
        for kind, parameters in entry.items()
        for message in (*_of_action(kind, parameters, settings), *_of_blocks(kind, parameters, blocks))
    ]


def names_blocks(document: Mapping[str, Any]) -> bool:
    """Tell whether the actions of a normalised automation name blocks."""
    entries = [entry for part in ("actions", "on_resolve") for entry in document.get(part) or ()]
    return any(list(_blocks_of(kind, parameters)) for entry in entries for kind, parameters in entry.items())


def _blocks_of(kind: str, parameters: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Give what names a block, with the types that serve there."""
    given: list[tuple[Any, Mapping[str, str]]] = []
    if kind == "notify":
        given = [(parameters.get("to"), named.NOTIFY)]
    elif kind == "webhook":
        given = [(parameters.get("url"), named.URL), (parameters.get("secret"), named.SIGNING)]
        given += [(value, named.HEADER) for value in parameters.get("headers", {}).values()]
    yield from ((value, takes) for value, takes in given if named.is_block(value))


def _of_blocks(kind: str, parameters: Mapping[str, Any], blocks: Mapping[str, str] | None) -> Iterator[str]:
    if blocks is None:
        return
    for value, takes in _blocks_of(kind, parameters):
        found = reference(value)
        if found is not None and found.name not in blocks:
            yield named.no_block(found.name, takes)
        elif found is not None and blocks[found.name] not in takes:
            yield named.wrong_type(found.name, blocks[found.name], takes)


def _of_action(kind: str, parameters: Mapping[str, Any], settings: ActionSettings) -> Iterator[str]:
    environment = settings.environment
    try:
        if kind == "notify":
            if not named.is_block(parameters.get("to")):
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
            named.variable(environment, str(value))
        except ActionRefused as error:
            yield str(error)
    if (secret := parameters.get("secret")) and not named.is_block(secret):
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
