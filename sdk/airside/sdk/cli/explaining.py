"""A firing as a readable account: what fired, when, why, on which events, and what was done about it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from airside.sdk.cli import output


def account(firing: dict[str, Any]) -> Iterator[str]:
    """Give the account line by line. Times stand in this machine's zone and in UTC."""
    verb = {"triggered": "fired", "resolved": "was resolved"}.get(firing["outcome"], firing["outcome"])
    yield f"{output.plain(firing['automation'])} {verb}"
    yield ""
    for name, value in _facts(firing):
        if value:
            yield f"  {name:<10}{output.plain(value)}"
    yield ""
    yield from _events(firing)
    yield ""
    yield from _actions(firing)


def both(text: str | None) -> str:
    """Write a time in this machine's zone with the offset, and in UTC."""
    if not text:
        return ""
    utc = datetime.fromisoformat(text).astimezone(UTC)
    return f"{output.moment(text)}  ({utc:%Y-%m-%d %H:%M:%S} UTC)"


def seconds(value: float) -> str:
    """Write a span the way people say it: `2 h 5 min`, `3.2 s`."""
    if value < 60:
        return f"{value:.3g} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"), (rest, "s"))
    return " ".join([f"{number} {unit}" for number, unit in parts if number][:2])


def _facts(firing: dict[str, Any]) -> Iterator[tuple[str, str]]:
    window = firing.get("window") or {}
    yield "why", firing["reason"]
    yield "when", both(firing["time"])
    if firing["decided"] != firing["time"]:
        yield "decided", both(firing["decided"])
    if firing.get("late_by") is not None:
        yield "late by", seconds(firing["late_by"])
    if firing.get("edges"):
        yield "window", _window(firing["edges"])
    elif window.get("start") and window.get("end"):
        yield "window", f"{output.moment(window['start'])} to {output.moment(window['end'])}"
    yield "key", ", ".join(f"{path} = {value}" for path, value in _leaves(firing.get("key") or {}))
    yield "clause", ", ".join(f"{path}: {value}" for path, value in _leaves(firing.get("clause") or {}))
    yield "prevented", firing.get("prevention") or ""
    yield "severity", firing.get("severity") or ""
    yield "revision", str(firing["revision"])
    yield "position", f"{firing['position']:,} on the log"
    yield "resolves", firing.get("resolves") or ""
    if resolution := firing.get("resolution"):
        yield "resolved", f"{output.moment(resolution['time'])}: {resolution['reason']} ({resolution['id']})"
    elif firing.get("resolved_by"):
        yield "resolved", f"by {firing['resolved_by']}"
    yield "id", firing["id"]


def _window(edges: dict[str, Any]) -> str:
    """Write the window by the rule's own clock, with the events of the log that stand at its edges."""
    start, end = edges["start"], edges["end"]
    zone = f" {edges['timezone']}"
    text = f"{start['local'].removesuffix(zone)} to {end['local']}"
    first, last = start["position"], end["position"]
    if first is None or last is None or first > last:
        return f"{text}, no event inside"
    return f"{text}, positions {first:,} to {last:,}"


def _events(firing: dict[str, Any]) -> Iterator[str]:
    events = firing["events"]
    if not events:
        yield "no events: it fired because nothing came"
        return
    total = firing.get("event_count") or len(events)
    last = "" if total == len(events) else f" of {total:,}, the last"
    yield f"{output.count(len(events), 'event')}{last}"
    for event in events:
        resource = event.get("resource") or {}
        parts = (event.get("position"), output.moment(event.get("received")), event.get("type"), resource.get("id"))
        yield "  " + "  ".join(output.plain(part) for part in (*parts, event.get("id")) if part)
        if event.get("payload"):
            yield f"      {output.plain(event['payload'])}"


def _actions(firing: dict[str, Any]) -> Iterator[str]:
    wanted = firing["actions"]
    if not wanted:
        yield "no actions"
        return
    results = {result["index"]: result for result in firing.get("results") or []}
    yield output.count(len(wanted), "action")
    for index, action in enumerate(wanted):
        result = results.get(index)
        yield f"  {index + 1}. {_action(action)}: {_outcome(result)}"


def _action(action: dict[str, Any]) -> str:
    target = next((action[name] for name in ("url", "to", "resource", "name") if action.get(name)), "")
    target = target.get("id", "") if isinstance(target, dict) else target
    words = (action.get("kind"), action.get("type"), target)
    return output.plain(" ".join(str(word) for word in words if word))


def _outcome(result: dict[str, Any] | None) -> str:
    if result is None:
        return "not done yet"
    tries = f" after {result['attempts']} tries" if (result.get("attempts") or 1) > 1 else ""
    said = result.get("error") or ", ".join(f"{path}: {value}" for path, value in _leaves(result.get("result") or {}))
    return output.plain(f"{result['state']}{tries}{f' ({said})' if said else ''}")


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Give nested objects as dotted paths; lists as JSON."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else str(name))
    elif value is not None:
        yield path, output.plain(value)
