"""The words of reasons: filters, moments and spans as a person would say them."""

from airside.events.wire import Micros, from_micros
from airside.triggers.filters import Filter
from airside.triggers.zones import zone

_MAX_NAMED = 3
# not strftime's: those depend on the machine's language, and the same log must give the same words
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def name_filter(spec: Filter) -> str:
    """Name what a filter is about: `table.updated for table://warehouse/sales`."""
    text = _any_of(spec.type) or "event"
    if text in (">", "*"):
        text = "event"
    ids = [pattern for resource in spec.resource for pattern in resource.id]
    if ids:
        text += f" for {_any_of(tuple(ids))}"
    conditions = [f"{path} {name} {value!r}" for path, test in spec.where.items() for name, value in test.items()]
    if conditions:
        text += f" where {' and '.join(conditions[:_MAX_NAMED])}"
    return text


def _any_of(texts: tuple[str, ...]) -> str:
    if len(texts) > _MAX_NAMED:
        return f"{', '.join(texts[:_MAX_NAMED])} and {len(texts) - _MAX_NAMED} more"
    return " or ".join(texts)


def span(start: Micros, end: Micros, timezone: str = "UTC") -> str:
    """Say from when to when: `between Thu 20 Nov 09:00 and Fri 21 Nov 09:00 America/New_York`."""
    return f"between {moment(start, timezone)} and {moment(end, timezone)} {timezone}"


def moment(micros: Micros, timezone: str) -> str:
    """Say when, by a wall clock in the zone: `Thu 20 Nov 09:00`."""
    local = from_micros(micros).astimezone(zone(timezone))
    clock = f"{local.hour:02}:{local.minute:02}"
    if local.second or local.microsecond:
        clock += f":{local.second:02}"
    return f"{_DAYS[local.weekday()]} {local.day} {_MONTHS[local.month - 1]} {clock}"
