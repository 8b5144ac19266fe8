"""What rules would have decided beside what an automation did decide."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from airside.events import vocabulary
from airside.events.wire import Record
from airside.triggers.model import Automation

_DECIDED: Final = frozenset({vocabulary.AUTOMATION_TRIGGERED, vocabulary.AUTOMATION_RESOLVED})


class Recorder:
    """Keeps the firings of one automation that are among the records it is shown."""

    def __init__(self, name: str) -> None:
        self._resource = f"automation://{name}"
        self.firings: list[dict[str, Any]] = []

    def look(self, record: Record) -> None:
        """Look at a record."""
        event = record.event
        if event.resource.id == self._resource and event.type in _DECIDED:
            self.firings.append({**event.payload_object(), "log_position": record.position})

    def watch(self, records: Iterable[Record]) -> Iterator[Record]:
        """Look at records on their way."""
        for record in records:
            self.look(record)
            yield record


@dataclass(frozen=True, slots=True)
class Comparison:
    """Firings of the same outcome, key and time stand together; the others did, or would, happen on one side alone."""

    both: list[tuple[dict[str, Any], dict[str, Any]]]
    only_new: list[dict[str, Any]]
    only_present: list[dict[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        """Give the comparison as a JSON object."""
        return {
            "both": [{"new": new, "present": present} for new, present in self.both],
            "only_new": self.only_new,
            "only_present": self.only_present,
        }


def compare(new: Sequence[dict[str, Any]], present: Sequence[dict[str, Any]]) -> Comparison:
    """Put the firings of a new form of a rule beside those of its present one."""
    waiting: dict[bytes, list[dict[str, Any]]] = {}
    for firing in present:
        waiting.setdefault(_identity(firing), []).append(firing)
    both, only_new = [], []
    for firing in new:
        same = waiting.get(_identity(firing))
        if same:
            both.append((firing, same.pop(0)))
        else:
            only_new.append(firing)
    left = {id(firing) for firings in waiting.values() for firing in firings}
    return Comparison(both, only_new, [firing for firing in present if id(firing) in left])


def counterpart(automations: Sequence[Automation], name: str) -> Automation | None:
    """Find the automation to put beside one on the server: that of the same name, or the only one there is."""
    named = [automation for automation in automations if automation.name == name]
    return named[0] if named else automations[0] if len(automations) == 1 else None


def _identity(firing: dict[str, Any]) -> bytes:
    return orjson.dumps([firing["outcome"], firing["key"], firing["time"]], option=orjson.OPT_SORT_KEYS)
