"""Reading the views: functions on a cursor, each one consistent answer of JSON-ready objects, for one workspace.

Call them through `Views.read` or `Views.run_read`.
"""

from airside.coordinator.views.reads.automations import (
    edges,
    get_automation,
    get_firing,
    get_revision,
    list_actions,
    list_automations,
    list_firings,
)
from airside.coordinator.views.reads.counts import counts, failed_by_automation
from airside.coordinator.views.reads.dead_letters import list_dead_letters
from airside.coordinator.views.reads.events import count_events, get_event, list_events
from airside.coordinator.views.reads.filters import EventFilter
from airside.coordinator.views.reads.pages import Page
from airside.coordinator.views.reads.resources import get_resource, list_resources
from airside.coordinator.views.reads.runs import beating_runs, get_run, list_runs, lost_tasks
from airside.coordinator.views.reads.waiting import waiting_runs

__all__ = [
    "EventFilter",
    "Page",
    "beating_runs",
    "count_events",
    "counts",
    "edges",
    "failed_by_automation",
    "get_automation",
    "get_event",
    "get_firing",
    "get_resource",
    "get_revision",
    "get_run",
    "list_actions",
    "list_automations",
    "list_dead_letters",
    "list_events",
    "list_firings",
    "list_resources",
    "list_runs",
    "lost_tasks",
    "waiting_runs",
]
