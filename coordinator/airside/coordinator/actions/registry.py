"""The kinds of actions that this coordinator can carry out."""

from collections.abc import Mapping
from typing import Final

from airside.coordinator.actions.airflow import ClearDagRun, PauseDag, TriggerDag, UnpauseDag
from airside.coordinator.actions.emit import Emit
from airside.coordinator.actions.kinds import ActionKind
from airside.coordinator.actions.notify import Notify
from airside.coordinator.actions.plane import (
    DisableAutomation,
    EnableAutomation,
    Limit,
    PauseDeployment,
    PauseQueue,
    ResumeDeployment,
    ResumeQueue,
)
from airside.coordinator.actions.runs import CancelRun, PauseRun, ResumeRun, RetryRun, SetRunState, StartRun
from airside.coordinator.actions.webhook import Webhook

_ALL: Final[tuple[ActionKind, ...]] = (
    Emit(),
    Notify(),
    Webhook(),
    TriggerDag(),
    PauseDag(),
    UnpauseDag(),
    ClearDagRun(),
    StartRun(),
    CancelRun(),
    RetryRun(),
    PauseRun(),
    ResumeRun(),
    SetRunState(),
    PauseDeployment(),
    ResumeDeployment(),
    PauseQueue(),
    ResumeQueue(),
    Limit(),
    EnableAutomation(),
    DisableAutomation(),
)

KINDS: Final[Mapping[str, ActionKind]] = {kind.name: kind for kind in _ALL}
