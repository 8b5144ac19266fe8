"""What people write about local time: names of time zones, from the pinned tzdata package, and cron expressions."""

from datetime import datetime
from difflib import get_close_matches
from functools import cache
from importlib import resources
from typing import Annotated, TypeAlias

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator


@cache
def zone_names() -> frozenset[str]:
    """Give the names of all zones."""
    return frozenset(resources.files("tzdata").joinpath("zones").read_text("utf-8").split())


def check_zone(name: str) -> str:
    """Give the name back. Raises ValueError for a name that is none."""
    if name not in zone_names():
        by_small = {known.lower(): known for known in zone_names()}
        close = get_close_matches(name[:80].lower(), list(by_small), n=1, cutoff=0.6)
        hint = f"did you mean {by_small[close[0]]}?" if close else "use a name such as Europe/Amsterdam or UTC"
        raise ValueError(f"no time zone is called {name[:80]!r}; {hint}")
    return name


def check_cron(text: str) -> str:
    """Give the expression back. Raises ValueError for one that is none, or that names no date there is."""
    if len(text.split()) != 5:
        raise ValueError('must have five fields: minute hour day-of-month month day-of-week, as "0 6 * * mon-fri"')
    try:
        next(CronSim(text, datetime(2024, 1, 1)))  # noqa: DTZ001  # a wall-clock time, without zone on purpose
    except CronSimError as error:
        raise ValueError(f"not a cron expression: {error}") from None
    except StopIteration:
        raise ValueError("names a date that never comes") from None
    return text


Cron: TypeAlias = Annotated[str, AfterValidator(check_cron)]
TimeZone: TypeAlias = Annotated[str, AfterValidator(check_zone)]
