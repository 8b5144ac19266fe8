"""A deployment as a file for people: what is changed most, with a word on each, and the rest where it differs."""

from typing import TYPE_CHECKING, Any, Final

import yaml

if TYPE_CHECKING:
    from airside.events.deployments import Deployment

_ALWAYS: Final = ("parameters", "queue", "priority", "retries", "storage", "infrastructure")
_WORDS: Final = {
    "version": "shown with its runs; the code's own version is on each run's events",
    "parameters": "values for each run; a schedule, and whoever starts a run, may give others",
    "parameters_schema": "made from the flow's signature; no run is accepted with parameters that do not fit",
    "queue": "where runs wait; `airside agent start -q {queue}` takes them",
    "priority": "0 is served first, 9 last",
    "schedules": "each with a name, and one of cron, every, rrule, at; also: parameters, enabled, catchup",
    "storage": "where the agent finds the code; `credentials: env:NAME` names a variable of its own, never a secret",
    "infrastructure": "what the agent starts a run in",
    "concurrency": "how many of its runs at once; on_full: queue, cancel_new or cancel_running",
    "retries": "tries again after a failure, `retry_delay` apart",
    "enabled": "false: paused",
}
#: Shown as a remark where nothing is said.
_HINTS: Final = {
    "schedules": '# schedules:\n#   - {name: early, cron: "0 6 * * *", timezone: Europe/Amsterdam}',
    "concurrency": "# concurrency: {limit: 1, on_full: queue}",
    "timeout": "# timeout: 1h",
}


def to_yaml(deployment: "Deployment") -> str:
    """Write it. Reads back as the same deployment."""
    written = deployment.to_document()
    defaults: dict[str, Any] = {"queue": deployment.queue, "priority": deployment.priority, "retries": 0}
    parts = [f"# The deployment {deployment.full_name}. `airside deployments apply` sends it; it holds no code."]
    for name in type(deployment).model_fields:
        if name in written or name in _ALWAYS:
            if name in _WORDS:
                parts.append(f"\n# {_WORDS[name].format(queue=deployment.queue)}")
            parts.append(_dumped({name: _explicit(name, written.get(name, defaults.get(name, {})))}))
        elif name in _HINTS:
            parts.append(f"\n{_HINTS[name]}")
    return "\n".join(parts) + "\n"


def _explicit(name: str, value: Any) -> Any:
    """Name the kind, also where it is the one that is meant when nothing is said."""
    if name in ("storage", "infrastructure"):
        return {"kind": value.get("kind", "path" if name == "storage" else "process"), **value}
    return value


def _dumped(value: dict[str, Any]) -> str:
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)
    return text.rstrip("\n")
