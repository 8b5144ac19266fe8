"""What stands in a watcher's URL beside its address: `key=value&key=value`."""

import re
from collections.abc import Collection
from typing import Final
from urllib.parse import parse_qsl

from airside.agent.watching.watcher import WatchRefused

_UNITS: Final = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_LONGEST_SECONDS: Final = 3_660 * 86_400.0


def read(text: str, known: Collection[str], url: str) -> dict[str, str]:
    """Read the options of a URL. Raises WatchRefused for one that is not known, or that is there twice."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        if name not in known:
            raise WatchRefused(f"{url}: no option is called `{name}`; there are {', '.join(sorted(known))}")
        if name in found:
            raise WatchRefused(f"{url}: `{name}` is there twice")
        found[name] = value
    return found


def seconds(text: str, name: str, least: float = 0.1) -> float:
    """Read a time, as 500ms, 10s, 5m, 2h or 7d. Raises WatchRefused naming the option."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)\s*(ms|s|m|h|d)?", text.strip())
    value = float(found[1]) * _UNITS[found[2] or ""] if found else -1.0
    if not least <= value <= _LONGEST_SECONDS:
        raise WatchRefused(f"{name}: `{text}` must be a time of at least {least:g}s, as 10s, 5m or 2h")
    return value


def truth(text: str, name: str) -> bool:
    """Read yes or no; a name alone means yes. Raises WatchRefused."""
    if text.lower() in ("", "1", "true", "yes"):
        return True
    if text.lower() in ("0", "false", "no"):
        return False
    raise WatchRefused(f"{name}: `{text}` must be true or false")
