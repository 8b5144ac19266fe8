"""Event types that Airside itself reads or writes. Any other type is welcome on the log too."""

from typing import Final

from airside.events import run_states
from airside.events.run_states import State

FLOW_RUN_TYPES: Final = tuple(f"flow_run.{state}" for state in State if state not in run_states.TASK_ONLY)
TASK_RUN_TYPES: Final = tuple(f"task_run.{state}" for state in State)

#: A run that reached one of these states is finished. Only `crashed` may still be corrected, by the run's own process.
TERMINAL_RUN_TYPES: Final = frozenset(
    event_type
    for event_type in FLOW_RUN_TYPES + TASK_RUN_TYPES
    if run_states.of_type(event_type) in run_states.TERMINAL
)

TABLE_UPDATED: Final = "table.updated"
FILE_LANDED: Final = "file.landed"
CHECK_PASSED: Final = "check.passed"
CHECK_FAILED: Final = "check.failed"
RESOURCE_HEARTBEAT: Final = "resource.heartbeat"

AUTOMATION_CREATED: Final = "automation.created"
AUTOMATION_UPDATED: Final = "automation.updated"
AUTOMATION_ENABLED: Final = "automation.enabled"
AUTOMATION_DISABLED: Final = "automation.disabled"
AUTOMATION_DELETED: Final = "automation.deleted"
AUTOMATION_TRIGGERED: Final = "automation.triggered"
AUTOMATION_RESOLVED: Final = "automation.resolved"
#: The answer to the query of a trigger, so that replays do not depend on what the views hold later.
AUTOMATION_QUERIED: Final = "automation.queried"

ACTION_SUCCEEDED: Final = "action.succeeded"
ACTION_FAILED: Final = "action.failed"
ACTION_RETRIED: Final = "action.retried"

#: The log's own pulse: it moves the clock on when nothing else happens.
CLOCK_TICKED: Final = "clock.ticked"

#: First tokens that only the plane itself may write; a post with one of them is refused.
RESERVED_PREFIXES: Final = frozenset({"automation", "action", "sla", "audit", "clock"})

OTHER_TYPES: Final = (
    *(f"deployment.{verb}" for verb in ("created", "updated", "paused", "resumed")),
    *(f"queue.{verb}" for verb in ("created", "paused", "resumed", "limited")),
    *(f"agent.{verb}" for verb in ("started", "heartbeat", "lost", "stopped")),
    *(f"sla.{verb}" for verb in ("at_risk", "breached", "recovered", "met")),
    RESOURCE_HEARTBEAT,
    TABLE_UPDATED,
    FILE_LANDED,
    CHECK_PASSED,
    CHECK_FAILED,
)


def is_reserved(event_type: str) -> bool:
    """Tell whether only the plane itself may write events of this type."""
    return event_type.partition(".")[0] in RESERVED_PREFIXES
