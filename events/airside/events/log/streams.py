"""The JetStream streams of Airside and how each is configured, in one place.

EVENTS is the log: nothing can be deleted, purged or rolled up; a full log refuses rather than forgets. FIRE holds what
must exist once for ever (firings, outcomes of actions): one message a subject, enforced by the broker. It is
sourced into EVENTS, so that views and rules see it in the log's order. Message schedules would switch rollup on,
so timers are kept out of both.
"""

from typing import Any, Final

import orjson
from nats.aio.client import Client
from nats.errors import Error as NatsError

from airside.events.exceptions import LogDamaged, LogError, LogUnavailable

EVENTS: Final = "EVENTS"
FIRE: Final = "FIRE"
DEAD: Final = "DEAD"
#: How the subjects of FIRE begin.
FIRE_SUBJECTS: Final = ("fire.", "act.")

#: Seconds to wait for an answer of the JetStream API.
API_TIMEOUT_SECONDS: Final = 5.0
#: Below this JetStream API level there are no atomic batches. nats-server 2.15 speaks level 5.
MIN_API_LEVEL: Final = 2
#: How long the broker itself remembers message ids. Older repeats are found in the views' index of ids.
DUPLICATE_WINDOW_SECONDS: Final = 120
_MAX_MESSAGE_BYTES: Final = 786_432
_NOT_FOUND: Final = 10_059
_SECOND: Final = 1_000_000_000

_KEEP_FOR_EVER: Final[dict[str, Any]] = {
    "retention": "limits",
    "storage": "file",
    "discard": "new",
    "deny_delete": True,
    "deny_purge": True,
    "allow_rollup_hdrs": False,
    "max_msgs": -1,
    "max_age": 0,
    "max_msg_size": _MAX_MESSAGE_BYTES,
}


#: What streams that an older Airside made lack. It is added to them in place: it takes nothing from what they promise.
_ADDED_LATER: Final[dict[str, dict[str, Any]]] = {FIRE: {"allow_atomic": True}}


def configurations(replicas: int = 1, max_bytes: int = -1) -> list[dict[str, Any]]:
    """Give the streams' configurations in the order they must be created in."""
    return [
        {
            "name": FIRE,
            "subjects": [f"{first}>" for first in FIRE_SUBJECTS],
            "num_replicas": replicas,
            "max_msgs_per_subject": 1,
            "discard_new_per_subject": True,
            "allow_direct": True,
            "allow_atomic": True,
            **_KEEP_FOR_EVER,
        },
        {
            "name": EVENTS,
            "subjects": ["ev.>", "ctl.>"],
            "num_replicas": replicas,
            "max_bytes": max_bytes,
            "duplicate_window": DUPLICATE_WINDOW_SECONDS * _SECOND,
            "allow_atomic": True,
            "allow_direct": True,
            "sources": [{"name": FIRE}],
            **_KEEP_FOR_EVER,
        },
        {
            "name": DEAD,
            "subjects": ["dead.>"],
            "num_replicas": replicas,
            "max_msgs_per_subject": 1,
            "discard_new_per_subject": True,
            **_KEEP_FOR_EVER,
        },
    ]


class ApiError(LogError):
    """JetStream refused a request; `code` is its error code, `status` that of HTTP which it belongs to."""

    def __init__(self, code: int, description: str, status: int = 0) -> None:
        self.code = code
        self.status = status
        super().__init__(f"{description} (JetStream error {code})")


async def api(nc: Client, verb: str, body: Any = None) -> dict[str, Any]:
    """Call the JetStream API. Raises ApiError when it refuses and LogUnavailable when it does not answer."""
    data = b"" if body is None else orjson.dumps(body)
    try:
        reply = await nc.request(f"$JS.API.{verb}", data, timeout=API_TIMEOUT_SECONDS)
    except (TimeoutError, NatsError) as error:
        raise LogUnavailable(f"JetStream does not answer {verb}: {error!r}") from error
    answer: dict[str, Any] = orjson.loads(reply.data)
    if problem := answer.get("error"):
        raise ApiError(problem.get("err_code", 0), problem.get("description", "refused"), problem.get("code", 0))
    return answer


async def ensure(nc: Client, *, replicas: int = 1, max_bytes: int = -1) -> None:
    """Create the streams that are missing and check those that exist.

    Raises LogDamaged when an existing stream is configured so that it could lose what it acknowledged.
    """
    info = await api(nc, "INFO")
    level = info.get("api", {}).get("level", 0)
    if level < MIN_API_LEVEL:
        raise LogError(f"this NATS server speaks JetStream API level {level}; Airside needs nats-server 2.12 or newer")
    for wanted in configurations(replicas, max_bytes):
        try:
            found = (await api(nc, f"STREAM.INFO.{wanted['name']}"))["config"]
        except ApiError as error:
            if error.code != _NOT_FOUND:
                raise
            found = (await api(nc, f"STREAM.CREATE.{wanted['name']}", wanted))["config"]
        _check(wanted, await _with_what_came_later(nc, wanted, found))


async def _with_what_came_later(nc: Client, wanted: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """Bring a sound stream of an older Airside up to date and give its configuration. Raises LogDamaged, ApiError."""
    added = _ADDED_LATER.get(wanted["name"], {})
    if found | added == found:
        return found
    _check({key: value for key, value in wanted.items() if key not in added}, found)
    updated: dict[str, Any] = (await api(nc, f"STREAM.UPDATE.{wanted['name']}", found | added))["config"]
    return updated


def _check(wanted: dict[str, Any], found: dict[str, Any]) -> None:
    """Compare what keeps the log's promise; sizes and replicas are the operator's."""
    guarded = (
        *_KEEP_FOR_EVER,
        "subjects",
        "max_msgs_per_subject",
        "discard_new_per_subject",
        "allow_atomic",
    )
    for key in guarded:
        if key == "max_msg_size" or key not in wanted:
            continue
        if (found.get(key) or 0) != wanted[key]:
            raise LogDamaged(
                f"stream {wanted['name']} has {key} = {found.get(key)!r}, not {wanted[key]!r}: acknowledged events"
                " would not be safe in it. Correct it with the `nats` tool, or use another NATS account."
            )
    if wanted.get("sources") and [s["name"] for s in found.get("sources") or []] != [FIRE]:
        raise LogDamaged(f"stream {wanted['name']} must source {FIRE} and nothing else")
