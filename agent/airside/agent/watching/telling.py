"""When a check is told: when its result changed, and again every so often, so that silence means something. Pure."""

import secrets
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from airside.events.vocabulary import CHECK_FAILED, CHECK_PASSED

Told: TypeAlias = Mapping[str, Any]

#: How often a result is told that did not change.
REPEAT_SECONDS: Final = 600.0


def begin() -> dict[str, Any]:
    """Make what a check remembers before its first result. Keep it on disk before the first event is made from it.

    Its `born` is in all ids, so that a check which forgot how far it counted does not repeat old ids.
    """
    return {"born": secrets.token_hex(8), "number": 0}


def step(told: Told, *, passed: bool, now: float, repeat_seconds: float) -> tuple[str, dict[str, Any]]:
    """Give the id of the event to send, or "", and what to remember. The same again has the same id."""
    changed = told.get("passed") is not passed
    passed_seconds = now - told.get("at", 0.0)
    if not changed and 0 <= passed_seconds < repeat_seconds:
        return "", dict(told)
    number = told["number"] + 1
    after = {"born": told["born"], "number": number, "passed": passed, "at": now}
    return f"check:{told['born']}:{number}:{'passed' if passed else 'failed'}", after


def event_type(*, passed: bool) -> str:
    """Name the event of a result."""
    return CHECK_PASSED if passed else CHECK_FAILED
