"""How many histories each property test tries: so many for every push, more when asked for.

    HISTORIES=20 python -m pytest tests/property

tries twenty times as many of everything. How many there were is shown at the end of the run.
"""

import os
from collections import Counter

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("HISTORIES", "1"))
COUNTED: Counter[str] = Counter()


def tries(examples):
    """Give the settings of a test that tries so many examples on every push."""
    return settings(
        max_examples=examples * TIMES,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )


def folded():
    """Count a history that is folded and compared with its reference."""
    COUNTED["histories"] += 1
