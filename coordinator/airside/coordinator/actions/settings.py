"""What the operator can set about actions."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from airside.coordinator.outbound import OutboundSettings


@dataclass(frozen=True, slots=True)
class ActionSettings:
    """How actions are carried out. Times are seconds.

    `environment` is where secrets (`AIRSIDE_SECRET_<NAME>`) and targets (`AIRSIDE_NOTIFY_<NAME>`) are looked up.
    `delays` replaces, for a kind of action, how long to wait before each further attempt.
    """

    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    outbound: OutboundSettings = field(default_factory=OutboundSettings)
    delays: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    consumer: str = "actions"
    #: Firings of one automation worked on at once; each runs its own actions at once.
    concurrency: int = 32
    #: Firings that may wait for another attempt. The broker counts a delayed one as unacknowledged, so a smaller number
    #: would let one receiver that is down for a night stop the actions of everybody else.
    max_waiting: int = 65_536
    #: What a killed coordinator was working on comes to another one after this; live work is kept alive meanwhile.
    ack_wait_seconds: float = 10.0
    stop_seconds: float = 5.0
    notify_seconds: float = 30.0
    #: How long to leave a firing alone when the log does not answer.
    log_retry_seconds: float = 5.0
    #: How often to see that the broker still knows our consumer.
    check_seconds: float = 15.0
    #: Firings that may follow from one another before a loop is assumed and cut.
    max_depth: int = 8
