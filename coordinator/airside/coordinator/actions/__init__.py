"""What automations do on a firing: `emit`, `notify` and `webhook`, each carried out until it is done or final."""

from airside.coordinator.actions.exceptions import ActionError, ActionRefused, ActionRetry
from airside.coordinator.actions.kinds import ActionContext, ActionKind, Tools
from airside.coordinator.actions.lint import problems
from airside.coordinator.actions.registry import KINDS
from airside.coordinator.actions.runner import ActionRunner
from airside.coordinator.actions.settings import ActionSettings

__all__ = [
    "KINDS",
    "ActionContext",
    "ActionError",
    "ActionKind",
    "ActionRefused",
    "ActionRetry",
    "ActionRunner",
    "ActionSettings",
    "Tools",
    "problems",
]
