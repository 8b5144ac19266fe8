"""The way out of a process that belongs to Airflow: the spool first, then a thread, for a moment at most."""

import logging
from collections.abc import Iterable
from typing import Final

from airside.events import wire
from airside.sdk.emitting.breaker import Breaker
from airside.sdk.emitting.emitter import Emitter
from airside.sdk.emitting.spool import AWAY
from airside.sdk.integrations.airflow.settings import AirflowSettings

#: How long the process of a task that has ended may wait to see its events delivered.
TRY_SECONDS: Final = 1.0
#: For how long nobody on this machine waits again after that was not enough.
PAUSE_SECONDS: Final = 15.0


class Sender:
    """Sends the events of one Airflow process. Nothing raises."""

    def __init__(self, settings: AirflowSettings) -> None:
        self.settings = settings
        self._emitter = Emitter(settings.emit)
        _only_warnings()

    def start(self) -> None:
        """Begin to ship what other processes of this machine left: those of tasks do not live long enough."""
        self._emitter.shipper.wake()

    def send(self, events: Iterable[wire.WireEvent], *, last_chance: bool = False) -> None:
        """Write events to the spool, from where a thread sends them; with `last_chance` give it a moment."""
        for event in events:
            self._emitter.send(wire.as_sent(event), durable=True)
        if last_chance:
            self._try()

    def _try(self) -> None:
        breaker = Breaker(self._emitter.shipper.spool.folder / AWAY)
        if breaker.seconds:
            return
        if not self._emitter.shipper.drain(TRY_SECONDS, give_up_when_away=True):
            breaker.failed(PAUSE_SECONDS)


def _only_warnings() -> None:
    """Keep our progress out of Airflow's log, unless somebody asked for it."""
    log = logging.getLogger("airside.sdk")
    if log.level == logging.NOTSET:
        log.setLevel(logging.WARNING)
