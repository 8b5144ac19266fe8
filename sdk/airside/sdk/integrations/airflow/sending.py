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
#: Until when that is. Not the shippers' own file: the scheduler's tries again sooner, and would say so there.
IN_VAIN: Final = "in-vain"


class Sender:
    """Sends the events of one Airflow process. Nothing raises."""

    def __init__(self, settings: AirflowSettings) -> None:
        self.settings = settings
        self._emitter = Emitter(settings.emit)
        _only_warnings()

    def start(self) -> None:
        """Begin to ship what other processes of this machine left: those of tasks do not live long enough."""
        self._emitter.shipper.wake()

    def leave_word_to_others(self) -> None:
        """Say nothing of a server that is away: the scheduler does once, and each task would."""
        self._emitter.notices.hush("away")

    def send(self, events: Iterable[wire.WireEvent], *, last_chance: bool = False) -> None:
        """Write events to the spool, from where a thread sends them; with `last_chance` give it a moment."""
        for event in events:
            self._emitter.send(wire.as_sent(event), durable=True)
        if last_chance:
            self._try()

    def _try(self) -> None:
        folder = self._emitter.shipper.spool.folder
        in_vain = Breaker(folder / IN_VAIN)
        if in_vain.seconds or Breaker(folder / AWAY).seconds:
            return
        if not self._emitter.shipper.drain(TRY_SECONDS, give_up_when_away=True):
            in_vain.failed(PAUSE_SECONDS)


def _only_warnings() -> None:
    """Keep our progress out of Airflow's log, unless somebody asked for it."""
    log = logging.getLogger("airside.sdk")
    if log.level == logging.NOTSET:
        log.setLevel(logging.WARNING)
