"""Changes of runs as lines of JSON, put together from pieces: what all changes of a run share is written once.

Most changes say no more than that the run went on. They are written here in a tenth of the time that an event takes
which may hold anything; the others go that way.
"""

import json.encoder
from typing import TYPE_CHECKING, Any, Final

from airside.sdk.emitting import message

if TYPE_CHECKING:
    from airside.sdk.flows.reporting import Change, Run

#: Writes a text with its quotes; other letters than ASCII stay as they are.
_text: Final = json.encoder.encode_basestring
_UTC: Final = "+00:00"


class Related(dict[str, Any]):
    """A related resource, whose JSON is kept. Not to be changed."""

    __slots__ = ("written",)
    written: str

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel without what is kept."""
        return Related, (dict(self),)


def line(change: "Change", source: str) -> bytes | None:
    """Write a change as `message.encode` would its event; None for one that says more than that the run went on.

    Raises UnicodeEncodeError for text that is none.
    """
    run, previous = change.run, change.previous
    if change.payload or change.text or change.error is not None or (previous is None and run.details):
        return None
    time = change.time.isoformat()
    if not time.endswith(_UTC):
        return None
    before = f',"previous":"{previous.value}"' if previous is not None else ""
    written = (
        f'{{"id":{_text(run.id)[:-1]}.{change.seq}","type":"{run.kind}.{change.state.value}","time":"{time[:-6]}Z",'
        f'"source":{_text(source)},{run.written or _head(run)},'
        f'"payload":{{"seq":{change.seq},"attempt":{change.attempt}{before}}}}}\n'
    ).encode()
    return written if len(written) <= message.MAX_BYTES else None


def _head(run: "Run") -> str:
    labels = ",".join(f"{_text(key)}:{_text(value)}" for key, value in run.labels.items())
    related = ",".join(map(_related, run.related))
    run.written = (
        f'"resource":{{"id":{_text(run.resource_id)},"kind":{_text(run.kind)},"name":{_text(run.name)},'
        f'"labels":{{{labels}}}}},"related":[{related}]'
    )
    return run.written


def _related(one: dict[str, Any]) -> str:
    if not isinstance(one, Related):
        return json.dumps(one, ensure_ascii=False)
    try:
        return one.written
    except AttributeError:
        one.written = json.dumps(one, ensure_ascii=False)
        return one.written
