"""NATS subjects of the log. What users choose never becomes a token unless it cannot break out of one.

    ev.<workspace>.<resource>.<type…>     posted by anybody: an event
    ctl.<workspace>.<resource>.<type…>    written by the plane alone: rules, ticks
    fire.<workspace>.<automation>.<id>    a firing, created once (stream FIRE, sourced into the log)
    act.<workspace>.<action>.<outcome>    what an action did or emitted, created once (stream FIRE)
    dead.<position>                       what could not be folded (stream DEAD)

`<resource>` is base32 of an 80-bit BLAKE2b of the resource's id; type words that are not plain are hashed too.
"""

import re
from base64 import b32encode
from functools import lru_cache
from hashlib import blake2b

_PLAIN = re.compile(r"[a-z0-9_-]{1,40}")
_MAX_TYPE_TOKENS = 8
#: Of a token that stands for a text.
TOKEN_CHARS = 16
#: How subjects begin to which only the plane itself can have written.
OWN = ("ctl.", "fire.", "act.")


@lru_cache(maxsize=65_536)
def token(text: str) -> str:
    """Turn any text into one 16-character subject token. The same text gives the same token, for ever."""
    return b32encode(blake2b(text.encode(), digest_size=10).digest()).decode().lower()


@lru_cache(maxsize=4_096)
def type_tokens(event_type: str) -> str:
    """Turn an event's type into subject tokens, as it stands where that is safe, hashed otherwise."""
    words = event_type.split(".")
    if len(words) <= _MAX_TYPE_TOKENS and all(_PLAIN.fullmatch(word) for word in words):
        return event_type
    return f"x-{token(event_type)}"


def event(workspace: str, resource_id: str, event_type: str) -> str:
    """Name the subject of an event that anybody may post."""
    return f"ev.{workspace}.{token(resource_id)}.{type_tokens(event_type)}"


def flow_run_changes(workspace: str, run_id: str) -> str:
    """Name all subjects on which changes of one flow run's state stand."""
    return f"ev.{workspace}.{token(run_id)}.flow_run.*"


def task_run_changes(workspace: str, run_id: str) -> str:
    """Name all subjects on which changes of one task run's state stand."""
    return f"ev.{workspace}.{token(run_id)}.task_run.*"


def about(workspace: str, resource_id: str) -> str:
    """Name all subjects on which anybody says something about one resource."""
    return f"ev.{workspace}.{token(resource_id)}.>"


def control(workspace: str, resource_id: str, event_type: str) -> str:
    """Name the subject of an event that only the plane writes."""
    return f"ctl.{workspace}.{token(resource_id)}.{type_tokens(event_type)}"


def controls_of(workspace: str, resource_id: str) -> str:
    """Name all subjects on which the plane writes about one resource."""
    return f"ctl.{workspace}.{token(resource_id)}.>"


def firing(workspace: str, automation: str, firing_id: str) -> str:
    """Name the subject of a firing: one message for ever."""
    return f"fire.{workspace}.{token(automation)}.{firing_id}"


def action(workspace: str, action_id: str, outcome: str) -> str:
    """Name the subject of what one action of one firing did or emitted: one message for ever each."""
    return f"act.{workspace}.{token(action_id)}.{outcome}"


def dead_letter(position: int) -> str:
    """Name the subject of a log entry that could not be folded."""
    return f"dead.{position}"


def is_own(subject: str) -> bool:
    """Tell whether only the plane itself can have written to this subject."""
    return subject.startswith(OWN)
