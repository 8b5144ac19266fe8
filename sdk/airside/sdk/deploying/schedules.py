"""The schedules of a deployment, from the few words of a command line or of `Flow.deploy`."""

from collections.abc import Sequence
from typing import Any, TypeAlias

from airside.sdk.flows.exceptions import BadOption

#: One, or several of the same kind.
Several: TypeAlias = str | float | Sequence[str | float] | None


def schedules(
    *,
    cron: Several = None,
    every: Several = None,
    rrule: Several = None,
    at: Several = None,
    timezone: str | None = None,
    anchor: str | None = None,
) -> list[dict[str, Any]]:
    """Write one schedule for each, named by its kind: `cron`, `cron-2`, … Raises BadOption."""
    zone = {"timezone": timezone} if timezone else {}
    begins = {"anchor": anchor} if anchor else {}
    made: list[dict[str, Any]] = []
    for kind, values in {"cron": cron, "every": every, "rrule": rrule, "at": at}.items():
        those = [] if values is None else [values] if isinstance(values, str | int | float) else list(values)
        for number, value in enumerate(those, 1):
            name = kind if number == 1 else f"{kind}-{number}"
            made.append({"name": name, kind: value, **(begins if kind in ("every", "rrule") else {}), **zone})
    if timezone and not made:
        raise BadOption("a time zone goes with a schedule")
    if anchor and not any("anchor" in one for one in made):
        raise BadOption("an anchor goes with `every` and `rrule`")
    return made
