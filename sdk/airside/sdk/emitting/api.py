"""`emit` and what goes with it, for the emitter of the process."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from airside.sdk.emitting import emitter
from airside.sdk.emitting.message import Related, Resource, uuid7


def emit(
    type: str,  # noqa: A002 - the word of the event itself
    resource: Resource,
    payload: Mapping[str, Any] | None = None,
    *,
    related: Related = (),
    labels: Mapping[str, str] | None = None,
    id: str | None = None,  # noqa: A002
    time: datetime | str | None = None,
    causes: Iterable[str] = (),
    source: str | None = None,
    wait: bool | float = False,
    durable: bool | None = None,
) -> str:
    """Say that something happened to a resource. Returns the event's id at once; a thread sends it.

    `resource` is an id like `table://warehouse/sales`, or a mapping with `id`, `kind`, `name`, `labels`. `related` are
    `(role, id)` pairs, a mapping of them, or mappings. `id` makes repeats count once (default: a UUIDv7). `wait` waits
    until the event is on the server's disk, at most so many seconds (True: 10). `durable` writes it to the local spool
    before returning, so that not even kill -9 loses it (default: AIRSIDE_EMIT). Never raises, unless AIRSIDE_STRICT is
    set: what cannot be sent is warned about once. Without AIRSIDE_URL it does nothing.
    """
    found = emitter.of_process()
    if found is None:
        return id or uuid7()
    event_id = found.emit(
        type,
        resource,
        related=related,
        payload=payload,
        labels=labels,
        event_id=id,
        time=time,
        causes=causes,
        source=source,
        durable=durable,
    )
    if wait:
        found.flush(*(() if wait is True else (wait,)))
    return event_id


async def aemit(
    type: str,  # noqa: A002
    resource: Resource,
    payload: Mapping[str, Any] | None = None,
    **options: Any,
) -> str:
    """Emit, and wait without blocking the event loop until the event is on the server's disk. Options are `emit`'s.

    Not needed to emit from async code: `emit` does not block. Waits at most 10 seconds, or `wait` if that is a number.
    """
    wait = options.pop("wait", True)
    event_id = emit(type, resource, payload, **options)
    if wait:
        import asyncio  # noqa: PLC0415 - 60 ms that others need not pay

        await asyncio.to_thread(flush, *(() if wait is True else (wait,)))
    return event_id


def flush(timeout: float = 10.0) -> bool:
    """Wait until everything emitted so far is on the server's disk, at most so many seconds; tell whether it is."""
    found = emitter.of_process()
    return found is None or found.flush(timeout)


def emit_stats() -> dict[str, int]:
    """Count what became of this process' events: emitted, delivered, refused, bad, spooled, lost, waiting and more."""
    found = emitter.of_process()
    return found.stats() if found is not None else {}
