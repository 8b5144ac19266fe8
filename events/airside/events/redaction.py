"""What automations hold that must not leave the log: addresses that are keys, headers that are passwords.

A webhook's URL is often its only secret, and headers carry tokens. The log keeps automations and firings as they are,
for the engine and the actions; everything that people read goes through here: views, SQL, lists, streams, exports.
"""

import re
from typing import Any, Final

import msgspec
import orjson

from airside.events import masking, subjects, vocabulary
from airside.events.references import reference
from airside.events.wire import Record

#: What stands in for a secret is no secret: the name of a variable of the server, or of a block.
_VARIABLE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*")
_ORIGIN = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)(?:[^/?#]*@)?([^/?#]*)(.?)", re.DOTALL)
_WITH_DOCUMENT: Final = frozenset({vocabulary.AUTOMATION_CREATED, vocabulary.AUTOMATION_UPDATED})
_WITH_ACTIONS: Final = frozenset({vocabulary.AUTOMATION_TRIGGERED, vocabulary.AUTOMATION_RESOLVED})


def record(entry: Record) -> Record:
    """Give a log entry as people may read it. Everything but the plane's own about automations stays as it is."""
    event = entry.event
    if event.type not in _WITH_DOCUMENT | _WITH_ACTIONS or not subjects.is_own(entry.subject):
        return entry
    try:
        payload = orjson.loads(memoryview(event.payload))
    except orjson.JSONDecodeError:
        return entry  # the views refuse it, and say why
    if not isinstance(payload, dict):
        return entry
    if isinstance(payload.get("document"), dict):
        payload["document"] = document(payload["document"])
    if isinstance(payload.get("actions"), list):
        payload["actions"] = [_action(each) for each in payload["actions"]]
    data = orjson.dumps(payload)
    if data == bytes(event.payload):
        return entry
    return msgspec.structs.replace(entry, event=msgspec.structs.replace(event, payload=msgspec.Raw(data)))


def document(automation: dict[str, Any]) -> dict[str, Any]:
    """Give an automation's document as people may read it. Doing it twice changes nothing."""
    parts = {
        part: [_action(each) for each in automation[part]]
        for part in ("actions", "on_resolve")
        if isinstance(automation.get(part), list)
    }
    return {**automation, **parts}


def url(text: str) -> str:
    """Keep scheme and host of a URL: `https://host/…`. The name of a variable or a block stays."""
    if _is_name(text):
        return text
    found = _ORIGIN.match(text)
    if found is None:
        return masking.MASK
    scheme, host, more = found.groups()
    return f"{scheme}{host}/…" if more else f"{scheme}{host}"


def _is_name(text: str) -> bool:
    return _VARIABLE.fullmatch(text) is not None or reference(text) is not None


def _action(action: Any) -> Any:
    """Mask one action, written `{webhook: {…}}` as in documents or `{kind: webhook, …}` as in firings."""
    if not isinstance(action, dict):
        return action
    if action.get("kind") == "webhook":
        return _webhook(action)
    if isinstance(action.get("webhook"), dict):
        return {**action, "webhook": _webhook(action["webhook"])}
    return action


def _webhook(parameters: dict[str, Any]) -> dict[str, Any]:
    shown = dict(parameters)
    if isinstance(shown.get("url"), str):
        shown["url"] = url(shown["url"])
    if isinstance(shown.get("headers"), dict):
        shown["headers"] = {
            name: value if isinstance(value, str) and _is_name(value) else masking.MASK
            for name, value in shown["headers"].items()
        }
    if isinstance(shown.get("body"), dict):
        shown["body"] = masking.masked(shown["body"])
    return shown
