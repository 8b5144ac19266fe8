"""Whether to try again after a failure, and after how long. Pure, but for the dice of jitter."""

import inspect
import logging
import random
from collections.abc import Sequence

from airside.sdk.flows.exceptions import RunRefused
from airside.sdk.flows.options import Options, seconds

_log = logging.getLogger("airside.flows")
_random = random.Random()  # noqa: S311 - spreads retries, guards nothing


def wanted(options: Options, attempt: int, error: BaseException) -> bool:
    """Tell whether attempt `attempt` (from 1), which ended in `error`, is to be followed by another."""
    if attempt > options.retries or isinstance(error, RunRefused):  # the run is somebody else's now
        return False
    if options.retry_if is None:
        return True
    try:
        return bool(options.retry_if(error))
    except Exception:  # noqa: BLE001 - people's code; the run must end with its own error
        _log.exception("retry_if of %s failed: there is no further attempt", options.name)
        return False


def delay(options: Options, attempt: int, error: BaseException) -> float:
    """Give the seconds to wait after attempt `attempt`. With jitter j, anything from 1 to 1+j times the delay."""
    rule = options.retry_delay
    if callable(rule):
        try:
            rule = seconds(rule(attempt, error) if _takes_two(rule) else rule(attempt))
        except Exception:  # noqa: BLE001 - people's code
            _log.exception("retry_delay of %s failed: the next attempt follows at once", options.name)
            rule = 0.0
    if isinstance(rule, Sequence):
        rule = rule[min(attempt, len(rule)) - 1] if rule else 0.0
    return max(seconds(rule), 0.0) * (1 + _random.random() * options.retry_jitter)


def exponential(base: float, *, factor: float = 2.0, most: float = 3_600.0) -> "_Exponential":
    """Make a `retry_delay`: `base` seconds, then `factor` times as long each time, `most` seconds at most."""
    return _Exponential(base, factor, most)


class _Exponential:
    def __init__(self, base: float, factor: float, most: float) -> None:
        self._base, self._factor, self._most = base, factor, most

    def __call__(self, retry: int) -> float:
        return min(self._base * self._factor ** min(retry - 1, 64), self._most)


def _takes_two(rule: object) -> bool:
    try:
        return len(inspect.signature(rule).parameters) > 1  # type: ignore[arg-type] # callable, as the caller checked
    except (TypeError, ValueError):
        return False
