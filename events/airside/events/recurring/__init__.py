"""Recurrence rules of RFC 5545, as `FREQ=WEEKLY;BYDAY=MO,WE`: read, and walked on a wall clock without zone.

No library is used to walk them: those that there are look for the next moment without an end, so that a rule of which
nothing comes hangs the program. Here each look is bounded.
"""

from airside.events.recurring.reading import Parts, read
from airside.events.recurring.rule import NEVER, Rule, rule

__all__ = ["NEVER", "Parts", "Rule", "read", "rule"]
