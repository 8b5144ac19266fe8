"""Events that tell of what was found: names and kinds, and nothing of where on this machine it is configured. Pure."""

from collections.abc import Iterable
from typing import Any, Final

from airside.agent.discovering.found import Found
from airside.agent.watching import making
from airside.events import datasets

TYPE: Final = "resource.discovered"


def events(found: Iterable[Found], host: str) -> list[dict[str, Any]]:
    """Write an event for each; its id is made of what was found and where, so that finding it again counts once."""
    return [_event(one, host) for one in found]


def _event(one: Found, host: str) -> dict[str, Any]:
    payload = {"what": making.text(one.what), "host": host, "watch": one.watch.get("url"), "wants": one.wants or None}
    name = datasets.digest(host, one.resource, one.what, *one.watch.values(), one.wants)
    resource = {"id": datasets.safe(one.resource), "kind": one.kind, "name": making.text(one.what, 200)}
    return making.event(TYPE, f"discovered:{name}", resource, payload)
