"""The moments of a schedule. Pure; cron and zones are those of the automations, see `airside.triggers.calendars`."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from typing import Final

from airside.coordinator.deployments.book import Held
from airside.events import recurring
from airside.events.deployments import MAX_CATCHUP, Schedule
from airside.events.durations import DAY, HOUR, MINUTE
from airside.events.wire import Micros, from_micros, to_micros
from airside.triggers import zones
from airside.triggers.calendars import Calendar, Slots

#: So many runs ahead, none of them more than a day away but the first.
AHEAD: Final = 20
AHEAD_MICROS: Final = DAY
#: What was missed by less than this is made up for whatever `catchup` says: all may have stood still a moment.
SLACK: Final = MINUTE
_LOOK_BACKS: Final = (HOUR, DAY, 7 * DAY, 31 * DAY, 400 * DAY)
#: More slots than these are not looked through for the last ones.
_MOST: Final = 20_000
_NEVER: Final[Micros] = 2**62


def after(schedule: Schedule, moment: Micros) -> Iterator[Micros]:
    """Give the schedule's moments later than this one, in order; an endless schedule has no end."""
    if schedule.rrule is not None:
        yield from _of_rule(schedule, schedule.rrule, moment)
        return
    following = _following(schedule)
    due = following(moment)
    while due is not None:
        yield due
        due = following(due)


def ahead(schedule: Schedule, moment: Micros) -> list[Micros]:
    """Give the moments that are materialised at this one."""
    found: list[Micros] = []
    for due in islice(after(schedule, moment), AHEAD):
        if found and due > moment + AHEAD_MICROS:
            break
        found.append(due)
    return found


def coming(held: Held, moment: Micros, count: int = 5) -> list[dict[str, str]]:
    """Give the next moments, each in the zone of its schedule; none when the deployment is paused.

    There are at least `count` of all that there are, and the next one of each schedule that is on.
    """
    on = [one for one in held.document.schedules if one.enabled] if held.document.enabled else []
    each = [[(due, one.name, one.timezone) for due in islice(after(one, moment), count)] for one in on]
    first = sorted(entry for entries in each for entry in entries)[:count]
    found = sorted({*first, *(entries[0] for entries in each if entries)})
    return [
        {"schedule": name, "at": from_micros(due).astimezone(zones.zone(zone)).isoformat(), "timezone": zone}
        for due, name, zone in found
    ]


def needed(schedule: Schedule, moment: Micros) -> Micros:
    """Give when more is to be materialised than at this moment."""
    found = list(islice(after(schedule, moment), AHEAD + 1))
    later = [due - AHEAD_MICROS for due in found if due - AHEAD_MICROS > moment]
    return min([*found[:1], *later], default=_NEVER)


def missed(schedule: Schedule, since: Micros, now: Micros) -> list[Micros]:
    """Give the moments later than `since`, up to now, that are to be made up for, oldest first."""
    if schedule.catchup == "none":
        return _between(schedule, max(since, now - SLACK), now)[-MAX_CATCHUP:]
    wanted = 1 if schedule.catchup == "latest" else MAX_CATCHUP
    found: list[Micros] = []
    for back in _LOOK_BACKS:
        found = _between(schedule, max(since, now - back), now)
        if len(found) >= wanted or now - back <= since:
            break
    return found[-wanted:]


def _between(schedule: Schedule, since: Micros, now: Micros) -> list[Micros]:
    if schedule.every is not None:
        since = max(since, now - schedule.every * (MAX_CATCHUP + 1))
    found = []
    for due in islice(after(schedule, since), _MOST):
        if due > now:
            break
        found.append(due)
    return found


def _following(schedule: Schedule) -> Callable[[Micros], Micros | None]:
    if schedule.cron is not None:
        slots = _slots(schedule.cron, schedule.timezone)

        def of_cron(moment: Micros) -> Micros | None:
            slot = slots.after(moment)
            return None if slot is None else slot.due

        return of_cron
    if schedule.every is not None:
        every = schedule.every
        anchor = (_moment(schedule.anchor, schedule.timezone) if schedule.anchor else None) or 0
        return lambda moment: anchor + ((moment - anchor) // every + 1) * every
    once = _moment(schedule.at, schedule.timezone) if schedule.at else None
    return lambda moment: once if once is not None and once > moment else None


def _of_rule(schedule: Schedule, text: str, moment: Micros) -> Iterator[Micros]:
    """Give the moments of a recurrence rule. Local times that fall on one moment, in a gap, are one."""
    rule, zone = recurring.rule(text, schedule.anchor), zones.zone(schedule.timezone)
    last = to_micros(rule.until) if rule.until is not None and rule.until.tzinfo is not None else None
    for wall in rule.after(zones.local(moment, zone).replace(fold=0)):
        due = zones.instant(wall.date(), wall.time(), zone)
        if last is not None and due is not None and due > last:
            return
        if due is not None and due > moment:
            yield due
            moment = due


@lru_cache(maxsize=4_096)
def _slots(cron: str, timezone: str) -> Slots:
    return Slots(Calendar(cron=cron, timezone=timezone))


def _moment(at: datetime, timezone: str) -> Micros | None:
    if at.tzinfo is not None:
        return to_micros(at.astimezone(UTC))
    return zones.instant(at.date(), at.time(), zones.zone(timezone))
