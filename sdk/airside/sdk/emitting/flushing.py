"""Sending what waits, once, from the command line."""

from dataclasses import dataclass, replace
from pathlib import Path

from airside.sdk.emitting import inspecting, left_over
from airside.sdk.emitting.breaker import Breaker
from airside.sdk.emitting.delivery import Delivery
from airside.sdk.emitting.notices import Notices
from airside.sdk.emitting.settings import EmitSettings
from airside.sdk.emitting.spool import AWAY, Spool
from airside.sdk.emitting.transport import Transport, choose


@dataclass(frozen=True, slots=True)
class Flushed:
    """What became of it. `away` says why the server did not take the rest."""

    sent: int = 0
    refused: int = 0
    waiting: int = 0
    in_use: int = 0
    away: str = ""


def flush(settings: EmitSettings, *, any_token: bool = False) -> Flushed:
    """Deliver what dead processes left for this server; other tokens' events only if told so. Raises OSError."""
    transport = choose(settings)
    try:
        done = Flushed()
        for folder in _folders(settings, any_token=any_token):
            if not done.away:
                done = _one(folder, settings, transport, done)
    finally:
        transport.close()
    left = [
        target
        for target in inspecting.targets(settings.spool)
        if target.folder in _folders(settings, any_token=any_token)
    ]
    return replace(done, waiting=sum(t.waiting for t in left), in_use=sum(t.in_use for t in left))


def _one(folder: Path, settings: EmitSettings, transport: Transport, done: Flushed) -> Flushed:
    notices = Notices()
    spool = Spool(folder, max_bytes=settings.spool_max_bytes)
    delivery = Delivery(transport, spool, notices)
    left_over.ship(spool, delivery, notices, lambda: False)
    if delivery.away is None:
        Breaker(folder / AWAY).succeeded()
    return replace(
        done,
        sent=done.sent + notices.counts["delivered"] + notices.counts["duplicates"],
        refused=done.refused + notices.counts["refused"],
        away=delivery.away.reason if delivery.away else "",
    )


def _folders(settings: EmitSettings, *, any_token: bool) -> list[Path]:
    own = settings.spool / settings.target
    if not any_token:
        return [own]
    server = settings.target.partition("-")[0]
    return sorted(path for path in settings.spool.glob(f"{server}-*") if path.is_dir())
