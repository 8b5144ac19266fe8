"""Delivering a batch: what is wrong in it is set aside, so that it does not block the rest."""

from collections.abc import Sequence

from airside.sdk.emitting.notices import Notices
from airside.sdk.emitting.spool import REFUSED, Spool
from airside.sdk.emitting.transport import Away, Delivered, Rejected, Transport


class Delivery:
    """Sends batches, in order. Used by one thread at a time."""

    def __init__(self, transport: Transport, spool: Spool, notices: Notices) -> None:
        self._transport = transport
        self._spool = spool
        self._notices = notices
        #: Why the last batch was not delivered whole.
        self.away: Away | None = None

    def deliver(self, lines: Sequence[bytes]) -> int:
        """Send events; gives how many of them, from the first on, are settled: delivered or set aside for good."""
        outcome = self._transport.send(lines)
        if isinstance(outcome, Delivered):
            self.away = None
            self._notices.counts["delivered"] += len(lines) - outcome.duplicates
            self._notices.counts["duplicates"] += outcome.duplicates
            return len(lines)
        if isinstance(outcome, Away):
            self.away = outcome
            return 0
        return self._around(lines, outcome)

    def _around(self, lines: Sequence[bytes], rejected: Rejected) -> int:
        """Deliver what is good in a batch that was refused as a whole."""
        if len(lines) == 1:
            self._refuse(lines[0], rejected.reasons.get(0) or rejected.reason, rejected.status)
            return 1
        bad = {index: reason for index, reason in rejected.reasons.items() if index < len(lines)}
        if not bad:
            half = len(lines) // 2
            settled = self.deliver(lines[:half])
            return settled + (self.deliver(lines[half:]) if settled == half else 0)
        good = [line for index, line in enumerate(lines) if index not in bad]
        if good and self.deliver(good) < len(good):
            return 0  # all again later: ids count once
        for index, reason in bad.items():
            self._refuse(lines[index], reason, rejected.status)
        return len(lines)

    def _refuse(self, line: bytes, reason: str, status: int) -> None:
        kept = self._spool.set_aside(REFUSED, line, reason, status)
        self._notices.counts["refused"] += 1
        where = str(self._spool.folder / REFUSED) if kept else "nowhere: there is no room on disk"
        self._notices.warn(
            "refused", "Airside refuses an event: %s. Refused events are kept in %s; `airside spool ls`", reason, where
        )
