"""What would have kept a firing from happening: one sentence, made of the clause that decided it.

Everything is read from the firing as it stands on the log, and from the revision that fired where the log still has it.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, TypeAlias

from airside.events.wire import Micros, to_micros
from airside.triggers import durations
from airside.triggers.model import Automation
from airside.triggers.phrases import moment, name_filter

_Sentence: TypeAlias = Callable[[Mapping[str, Any], Automation | None], str]


def prevention(firing: Mapping[str, Any], automation: Automation | None = None) -> str:
    """Say what would have prevented a firing, given as lists show it. `automation` is the revision that fired."""
    if firing["outcome"] == "resolved":
        return f"Nothing had to: it says that firing {firing['resolves']} no longer holds."
    say = _SENTENCES.get(firing["clause"].get("trigger", ""), _by_disabling)
    return say(firing, automation)


def timezone_of(firing: Mapping[str, Any], automation: Automation | None = None) -> str:
    """Name the time zone that a firing's rule lives in; UTC when it has none."""
    calendar = getattr(automation.trigger, "by", None) if automation else None
    return str(firing["clause"].get("timezone") or getattr(calendar, "timezone", None) or "UTC")


def local(moment_of: str, timezone: str) -> str:
    """Write a firing's moment as a wall clock in a zone."""
    return f"{moment(_micros(moment_of), timezone)} {timezone}"


def _match(firing: Mapping[str, Any], automation: Automation | None) -> str:
    clause = firing["clause"]
    what = _expected(automation, "match", "a matching event")
    if clause["count"] == 1:
        return f"Only that {what} not coming: one is enough. A narrower filter or a `cooldown` lets fewer through."
    within = durations.parse(clause["within"])
    begun, ended = _micros(firing["window"]["start"]), _micros(firing["window"]["end"])
    spare = durations.show(within - (ended - begun))
    return (
        f"One {what} fewer: {clause['count']} within {clause['within']} are enough. Or all of them spread wider: had"
        f" the first come {spare} earlier, it had left the window when the last came."
    )


def _absence(firing: Mapping[str, Any], automation: Automation | None) -> str:
    timezone = timezone_of(firing, automation)
    grace = durations.parse(firing["clause"]["grace"]) if firing["clause"].get("grace") else 0
    start, due = _micros(firing["window"]["start"]), _micros(firing["window"]["end"])
    until = moment(due + grace, timezone)
    what = _expected(automation, "absence", "the expected event")
    text = f"One {what} of this key on the log after {moment(start, timezone)} and by {until} {timezone}"
    text += f", that is the deadline and a grace of {firing['clause']['grace']}." if grace else "."
    if automation is not None and getattr(automation.trigger, "time", "log") == "occurred":
        text += f" Its own time had to be {moment(due, timezone)} or earlier."
    return text


def _metric(firing: Mapping[str, Any], automation: Automation | None) -> str:
    clause = firing["clause"]
    side, line = ("above", "at most") if "above" in clause else ("below", "at least")
    text = f"A {clause['metric']} of {line} {clause[side]} over {clause['over']}; it was {clause['value']}"
    return f"{text}, for {clause['for']}." if clause.get("for") else f"{text}."


def _query(firing: Mapping[str, Any], automation: Automation | None) -> str:
    return f"No row in the answer of its query at that time; there were {firing['clause']['row_count']:,}."


def _bucket(firing: Mapping[str, Any], automation: Automation | None) -> str:
    clause = firing["clause"]
    if "fewer_than" in clause:
        return f"{clause['fewer_than']} events or more within {clause['within']}; there were {clause['counted']}."
    return f"One event fewer: {clause['reaches']} are enough."


def _several(firing: Mapping[str, Any], automation: Automation | None) -> str:
    clause = firing["clause"]
    needed, fired = clause.get("needed", 0), len(clause.get("fired", ()))
    within = f" within {clause['within']}" if clause.get("within") else ""
    if needed == 1:
        return f"None of its triggers firing{within}: one of them is enough, and {fired} did."
    return f"One of its triggers not firing{within}: {needed or fired} of them are needed, and {fired} fired."


def _sequence(firing: Mapping[str, Any], automation: Automation | None) -> str:
    within = f" within {firing['clause']['within']}" if firing["clause"].get("within") else ""
    return f"One of its triggers not firing, or firing in another order: all of them came in theirs{within}."


def _by_disabling(firing: Mapping[str, Any], automation: Automation | None) -> str:
    return "Another clause; this version does not know the kind of trigger that decided."


def _expected(automation: Automation | None, part: str, otherwise: str) -> str:
    spec = getattr(automation.trigger, part, None) if automation else None
    return name_filter(spec) if spec is not None else otherwise


def _micros(text: str) -> Micros:
    return to_micros(datetime.fromisoformat(text))


_SENTENCES: Final[dict[str, _Sentence]] = {
    "match": _match,
    "absence": _absence,
    "metric": _metric,
    "query": _query,
    "bucket": _bucket,
    "all": _several,
    "any": _several,
    "at_least": _several,
    "sequence": _sequence,
}
