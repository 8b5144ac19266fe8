"""The moments of a schedule. Pure; cron and zones are those of the automations, see `airside.triggers.calendars`."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from typing import Final

from airside.events.deployments import MAX_CATCHUP, Schedule
from airside.events.durations import DAY, HOUR, MINUTE
from airside.events.wire import Micros, to_micros
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


def after(schedule: Schedule, moment: Micros) -> Iterator[Micros]:
    """Give the schedule's moments later than this one, in order; an endless schedule has no end."""
    following = _following(schedule)
    due = following(moment)
    while due is not None:
        yield due
        due = following(due)


def ahead(schedule: Schedule, moment: Micros) -> list[Micros]:
    """Give the moments that are materialised at this one."""
    found = list(islice(after(schedule, moment), AHEAD))
    return [due for place, due in enumerate(found) if place == 0 or due <= moment + AHEAD_MICROS]


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


@lru_cache(maxsize=4_096)
def _slots(cron: str, timezone: str) -> Slots:
    return Slots(Calendar(cron=cron, timezone=timezone))


def _moment(at: datetime, timezone: str) -> Micros | None:
    if at.tzinfo is not None:
        return to_micros(at.astimezone(UTC))
    return zones.instant(at.date(), at.time(), zones.zone(timezone))
