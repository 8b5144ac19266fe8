"""Calendar deadlines: `by: {time: "09:00", days: mon-fri, timezone: America/New_York}`, or `{cron: "0 9 1 * *"}`.

A local date among the `holidays` has no deadline. A slot is named by its local date and time and happens at one moment;
see `airside.triggers.zones` for days on which clocks change. Each local time counts once: a cron of every half hour has
no second 02:30.
"""

import re
from datetime import date, time, timedelta
from functools import cache, cached_property
from itertools import pairwise
from typing import Annotated, Any, Final, NamedTuple, TypeAlias

from cronsim import CronSim
from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from airside.events.wall_clock import Cron, TimeZone
from airside.events.wire import Micros
from airside.triggers import days_off, durations, zones
from airside.triggers.durations import DAY, HOUR, MAX_DURATION, SECOND
from airside.triggers.strict import OneOrMore, Several, Strict, Text

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?")
_DAY: Final = timedelta(days=1)
_LOOK_AHEAD: Final = 40  # days until some weekday comes, with room for a date that a zone left out
_DAYS_OFF: Final = 7  # by how much holidays may lengthen it
_DAYS_RULE: Final = "must be weekdays, as mon-fri, or sat,sun, or a list of mon tue wed thu fri sat sun"
_SAMPLE_FROM: Final = 1_704_067_200 * SECOND  # 1 January 2024
_SAMPLES: Final = 9
_NEVER: Final = "never"
_A_DAY: Final = 20 * HOUR  # from here on a deadline is one of a day, also where clocks change
_MADE_UP: Final = 6 * HOUR
Days: TypeAlias = tuple[str, ...]


def _time(text: str) -> str:
    if not _TIME.fullmatch(text):
        raise ValueError('must be a time of day such as "09:00" or "23:59:30"')
    return text


def _days(value: Any) -> Days:
    words = value.split(",") if isinstance(value, str) else value
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
        raise ValueError(_DAYS_RULE)
    chosen: set[str] = set()
    for word in words:
        first, _, last = word.strip().lower().partition("-")
        if first not in WEEKDAYS or (last and last not in WEEKDAYS):
            raise ValueError(_DAYS_RULE)
        start = WEEKDAYS.index(first)
        length = (WEEKDAYS.index(last) - start) % 7 + 1 if last else 1
        chosen |= {WEEKDAYS[(start + offset) % 7] for offset in range(length)}
    if not chosen:
        raise ValueError(_DAYS_RULE)
    return tuple(day for day in WEEKDAYS if day in chosen)


TimeOfDay = Annotated[
    str,
    AfterValidator(_time),
    WithJsonSchema({"type": "string", "pattern": _TIME.pattern, "examples": ["09:00"]}),
]
Weekdays = Annotated[
    Days,
    BeforeValidator(_days),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "examples": ["mon-fri", "sat,sun"]},
                {"type": "array", "items": {"enum": list(WEEKDAYS)}},
            ]
        }
    ),
]


MakesUp = Annotated[
    int,
    BeforeValidator(lambda value: 0 if value == _NEVER else durations.parse(value)),
    PlainSerializer(lambda value: durations.show(value) if value else _NEVER, return_type=str),
    WithJsonSchema({"anyOf": [{"const": _NEVER}, {"type": "string", "examples": ["6h"]}, {"type": "number"}]}),
]


class Calendar(Strict):
    """Deadlines on a calendar: a time of day on some weekdays, or a cron expression, in a time zone."""

    time: TimeOfDay | None = Field(None, description='local time of day, as "09:00"')
    cron: Cron | None = Field(None, description="five fields, in local time")
    days: Weekdays = Field(WEEKDAYS, description="weekdays that have a deadline: mon-fri, or a list")
    timezone: TimeZone = Field("UTC", description="as Europe/Amsterdam")
    since: TimeOfDay | None = Field(
        None, description="the window begins at this local time of the same date, not at the last deadline"
    )
    makes_up: MakesUp | None = Field(
        None,
        description="what comes so long after a missed deadline does not count for the next one either; `never`; when"
        " left out, 6h where deadlines are a day or more apart",
    )
    holidays: OneOrMore[Text] = Field(
        (), max_length=days_off.MAX_ENTRIES, description="no deadline on these: countries (US, US-NY), or dates"
    )
    holiday_dates: Several[Annotated[str, AfterValidator(days_off.check_date)]] = Field(
        (), description="the dates that `holidays` stands for; filled in when the file is read"
    )

    @model_validator(mode="before")
    @classmethod
    def _look_up(cls, data: Any) -> Any:
        """Turn countries into dates, once: what has its dates, as on the log, keeps them."""
        if not isinstance(data, dict) or not data.get("holidays") or "holiday_dates" in data:
            return data
        entries = data["holidays"]
        texts = (entries,) if isinstance(entries, str) else tuple(entries) if isinstance(entries, list | tuple) else ()
        if not all(isinstance(text, str) for text in texts) or len(texts) > days_off.MAX_ENTRIES:
            return data
        return {**data, "holiday_dates": days_off.dates_of(texts)}

    @model_validator(mode="after")
    def _one_way(self) -> "Calendar":
        if (self.time is None) == (self.cron is None):
            raise ValueError("give either `time` or `cron`")
        if self.cron and (self.since or self.days != WEEKDAYS):
            raise ValueError("`days` and `since` go with `time`; say the days in the cron expression")
        if self.since and self.time and time.fromisoformat(self.since) >= time.fromisoformat(self.time):
            raise ValueError("`since` must be earlier in the day than `time`")
        if self.since and self.makes_up is not None:
            raise ValueError("`makes_up` goes without `since`, which says itself what counts")
        return self

    def made_up_within(self, gap: Micros) -> Micros:
        """Say how long after a missed deadline events still belong to it, if the next one is so far away."""
        if self.since is not None:
            return 0
        wanted = (_MADE_UP if gap >= _A_DAY else 0) if self.makes_up is None else self.makes_up
        return min(wanted, gap // 2)


class Slot(NamedTuple):
    """One deadline: its name, the moment before which nothing counts, if any, and the moment itself."""

    name: str
    since: Micros | None
    due: Micros


class Slots:
    """The deadlines of a calendar as moments, each later than the one before."""

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        self._tz = zones.zone(calendar.timezone)
        self._weekdays = {WEEKDAYS.index(day) for day in calendar.days}
        self._days_off = {date.fromisoformat(day) for day in calendar.holiday_dates}

    @cached_property
    def _time(self) -> time:
        return time.fromisoformat(self._calendar.time or "00:00")

    def after(self, moment: Micros) -> Slot | None:
        """Give the first deadline later than the moment, or None when none comes."""
        if self._calendar.cron:
            return self._cron_after(self._calendar.cron, moment)
        day = zones.local(moment, self._tz).date() - _DAY
        for _ in range(_LOOK_AHEAD + 7 * len(self._days_off)):
            end = self._on(day)
            if end is not None and end > moment:
                return Slot(f"{day}T{self._calendar.time}", self._since(day), end)
            day += _DAY
        return None

    def _on(self, day: date) -> Micros | None:
        if day.weekday() not in self._weekdays or day in self._days_off:
            return None
        return zones.instant(day, self._time, self._tz)

    def _since(self, day: date) -> Micros | None:
        if self._calendar.since is None:
            return None
        return zones.instant(day, time.fromisoformat(self._calendar.since), self._tz)

    def _cron_after(self, cron: str, moment: Micros) -> Slot | None:
        for wall in CronSim(cron, zones.local(moment, self._tz).replace(fold=0)):
            end = zones.instant(wall.date(), wall.time(), self._tz)
            if end is not None and end > moment and wall.date() not in self._days_off:
                return Slot(f"{wall:%Y-%m-%dT%H:%M}", None, end)
        return None


@cache
def longest_gap(calendar: Calendar) -> Micros:
    """Estimate the longest time between two deadlines, from the first few of 2024."""
    slots = Slots(calendar)
    dues: list[Micros] = []
    moment: Micros = _SAMPLE_FROM
    while len(dues) < _SAMPLES and (slot := slots.after(moment)):
        moment = slot.due
        dues.append(moment)
    longest = max((later - earlier for earlier, later in pairwise(dues)), default=MAX_DURATION)
    return longest + _DAYS_OFF * DAY if calendar.holiday_dates else longest
