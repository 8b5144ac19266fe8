"""Actions: what has a counterpart here, and what stands in for a rule that is left without any."""

import re
from collections.abc import Callable
from typing import Any, Final

from airside.triggers.importing import texts
from airside.triggers.importing.report import NotTranslated

STAND_IN_TYPE: Final = "imported_automation.fired"
_LONGEST_TITLE: Final = 1_000

Say = Callable[[str], None]


def translate(action: Any, say: Say) -> dict[str, Any] | None:
    """Translate an action; None for one that does nothing. `say` takes what must be completed.

    Raises NotTranslated.
    """
    if not isinstance(action, dict) or not isinstance(action.get("type"), str):
        raise NotTranslated("an action must be an object with a `type`")
    kind = action["type"]
    if kind == "do-nothing":
        return None
    translator = _KNOWN.get(kind)
    if translator is None:
        raise NotTranslated(f"the action `{kind}` has no counterpart")
    return translator(action, say)


def stand_in(name: str) -> dict[str, Any]:
    """Give an action without effect outside the log, for a rule that would have none."""
    return {"emit": {"type": STAND_IN_TYPE, "resource": f"imported://{name}"}}


def _notification(action: dict[str, Any], say: Say) -> dict[str, Any]:
    variable = f"AIRSIDE_NOTIFY_PREFECT_BLOCK_{_plain(action.get('block_document_id'))}"
    title = _text(action.get("subject") or "Prefect automation notification", say)
    found = {"to": f"env:{variable}", "title": re.sub(r"\s+", " ", title).strip()[:_LONGEST_TITLE] or "notification"}
    if action.get("body"):
        found["body"] = _text(action["body"], say)
    say(f"`notify` sends to the Apprise URLs in {variable}: set it where the coordinator runs")
    return {"notify": found}


def _webhook(action: dict[str, Any], say: Say) -> dict[str, Any]:
    found: dict[str, Any] = {"url": f"https://webhook.invalid/{_plain(action.get('block_document_id'))}"}
    payload = action.get("payload")
    if payload:
        body, unknown = texts.translate_value(payload if isinstance(payload, dict) else str(payload))
        _tell(unknown, say)
        found["body"] = body
    say("the `url` of `webhook` was in a block and not in the automation: write it in")
    return {"webhook": found}


def _text(value: Any, say: Say) -> str:
    if not isinstance(value, str):
        raise NotTranslated("the texts of an action must be texts")
    text, unknown = texts.translate(value)
    _tell(unknown, say)
    return text


def _tell(unknown: list[str], say: Say) -> None:
    if unknown:
        say(f"parts of a text have no counterpart and are written out: {', '.join(dict.fromkeys(unknown))}")


def _plain(block: Any) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", str(block or ""))[:64].upper() or "UNKNOWN"


_KNOWN: Final[dict[str, Callable[[dict[str, Any], Say], dict[str, Any]]]] = {
    "send-notification": _notification,
    "call-webhook": _webhook,
}
