"""Values as Prefect writes them in JSON: durations, texts, lists of texts."""

import re
from typing import Any, Final

from airside.events.wire import Micros
from airside.triggers import durations
from airside.triggers.importing.report import NotTranslated

_CLOCK: Final = re.compile(r"(?:(-?\d{1,6}) days?,? )?(\d{1,4}):(\d\d):(\d\d(?:\.\d{1,6})?)")


def duration(value: Any, where: str) -> Micros:
    """Read seconds, an ISO 8601 duration or `[days, ]hours:minutes:seconds`; 0 is allowed."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise NotTranslated(f"`{where}` must be seconds or an ISO 8601 duration")
    text = str(value).strip()
    clock = _CLOCK.fullmatch(text)
    if clock:
        days, hours, minutes, seconds = clock.groups()
        value = int(days or 0) * 86_400 + int(hours) * 3_600 + int(minutes) * 60 + float(seconds)
    elif re.fullmatch(r"-?\d+(\.\d+)?", text):
        value = float(text)
    elif re.fullmatch(r"P(0D)?T?(0[HMS])*", text):
        value = 0
    if isinstance(value, int | float) and value < 0:
        raise NotTranslated(f"`{where}` must not be negative")
    if value == 0:
        return 0
    try:
        return durations.parse(value)
    except ValueError as error:
        raise NotTranslated(f"`{where}` {error}") from None


def texts(value: Any, where: str) -> list[str]:
    """Read a list of texts, or one text alone; in a fixed order where the order means nothing."""
    if value is None:
        return []
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise NotTranslated(f"`{where}` must be a list of texts")
    return list(dict.fromkeys(found))


def only_known(part: dict[str, Any], known: set[str], what: str) -> None:
    """Refuse keys that nobody here knows: what they mean is unknown too."""
    unknown = sorted(set(part) - known)
    if unknown:
        raise NotTranslated(f"{what} has keys that are not known here: {', '.join(unknown)}")
