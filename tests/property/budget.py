"""How many histories each property test tries: a few for every push, many when asked for.

    HISTORIES=20 python -m pytest tests/property

tries twenty times as many of everything.
"""

import os

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("HISTORIES", "1"))


def tries(examples):
    """Give the settings of a test that tries so many examples on every push."""
    return settings(
        max_examples=examples * TIMES,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
