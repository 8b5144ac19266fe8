"""Shipping what processes that are gone left in the spool."""

import json
from collections.abc import Callable

from airside.sdk.emitting.delivery import Delivery
from airside.sdk.emitting.notices import Notices, log
from airside.sdk.emitting.segment import Segment
from airside.sdk.emitting.spool import CORRUPT, Spool

BATCH_EVENTS = 500
BATCH_BYTES = 768 * 1024


def ship(spool: Spool, delivery: Delivery, notices: Notices, stop: Callable[[], bool]) -> bool:
    """Deliver what is left over, oldest first; tell whether it came to an end before `stop` said so."""
    shipped = 0
    for segment in spool.left_over():
        try:
            while segment.waiting_bytes and not stop():
                settled = _ship_batch(segment, spool, delivery, notices)
                shipped += settled
                if delivery.away is not None:
                    break
            is_done = segment.waiting_bytes == 0
        finally:
            segment.close()
        if not is_done:
            break
    if shipped:
        notices.counts["left_over"] += shipped
        log.info("sent %d events that earlier processes left", shipped, extra={"action": "emit.left_over"})
    return not stop()


def _ship_batch(segment: Segment, spool: Spool, delivery: Delivery, notices: Notices) -> int:
    """Deliver the oldest events of a segment; lines that are damaged are set aside. Gives how many are settled."""
    lines = segment.peek(BATCH_EVENTS, BATCH_BYTES)
    good = [number for number, line in enumerate(lines) if _is_event(line)]
    delivery.away = None
    settled = delivery.deliver([lines[number] for number in good]) if good else 0
    end = len(lines) if settled == len(good) else good[settled]
    for number in sorted(set(range(end)) - set(good)):
        _set_aside(lines[number], spool, notices)
    segment.advance(sum(map(len, lines[:end])))
    return settled


def _is_event(line: bytes) -> bool:
    """Tell whether a line was written whole."""
    try:
        return line.endswith(b"\n") and isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _set_aside(line: bytes, spool: Spool, notices: Notices) -> None:
    notices.counts["corrupt"] += 1
    spool.set_aside(CORRUPT, line, "the line is not whole: its writer was killed or the disk is damaged")
    notices.warn("corrupt", "a line of the spool is damaged and was set aside in %s", spool.folder / CORRUPT)
