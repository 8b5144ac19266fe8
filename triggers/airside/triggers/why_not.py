"""Why did an automation not fire for a key? The log is folded again for it alone, and every event is asked what it did.

The rule changes as it changed on the log. What came before it began, while it was switched off, twice, without the
parts of a key, or with one thing wrong is put aside with its reason; the trigger itself says where it stands.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from airside.events import vocabulary
from airside.events.exceptions import AirsideError
from airside.events.model import DEFAULT_WORKSPACE
from airside.events.wire import Micros, Record
from airside.triggers import keys, walking
from airside.triggers.engine import Engine
from airside.triggers.entry import Entry, iso
from airside.triggers.firing import Firing
from airside.triggers.keys import Key
from airside.triggers.misses import Probe
from airside.triggers.model import Automation
from airside.triggers.sightings import Sightings
from airside.triggers.why_not_words import reasons

_INSTALLS: Final = frozenset({vocabulary.AUTOMATION_CREATED, vocabulary.AUTOMATION_UPDATED})
_MAX_FIRINGS: Final = 5


class KeyNotUnderstood(AirsideError):
    """The key is not one that the automation has windows for; the message says which parts to give."""


def parse_key(texts: Iterable[str]) -> dict[str, str]:
    """Read a key as people give it: `resource.id=job://a`, once for each part, or a bare value when there is one.

    Raises KeyNotUnderstood.
    """
    found: dict[str, str] = {}
    for text in texts:
        part, separator, value = text.partition("=")
        if not separator or not _is_part(part):
            part, value = "", text
        if part in found:
            raise KeyNotUnderstood(
                f"the key is given twice: {found[part]} and {value}; name each part, as resource.id=…"
            )
        found[part] = value
    return found


def _is_part(text: str) -> bool:
    try:
        keys.compile_key((text,))
    except ValueError:
        return False
    return True


class WhyNot:
    """Folds a log for one automation and one key.

    Args:
        name: the automation.
        key: texts by part of `for_each`, as `{"resource.id": "job://a"}`; a single part may be called "".
        now: the automation as it stands, for what came before it was created; None if it is gone.
    """

    def __init__(
        self, name: str, key: Mapping[str, str], *, now: Automation | None = None, workspace: str = DEFAULT_WORKSPACE
    ) -> None:
        self.name = name
        self.workspace = workspace
        self._wanted = dict(key)
        self._engine = Engine(gaps_allowed=True)
        self._resource = f"automation://{name}"
        self._began: tuple[int, Micros] | None = None
        self._changed: tuple[str, Micros] | None = None
        self._key: Key | None = None
        self._firings: list[Firing] = []
        self._entries = 0
        self._first = 0
        self.sightings = Sightings()
        self._look_for(now)

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of the key that the automation has now."""
        return self._parts

    def step(self, record: Record) -> None:
        """Fold one entry."""
        self._entries += 1
        self._first = self._first or record.position
        event = record.event
        is_control = record.subject.startswith("ctl.") and event.type.startswith("automation.")
        if is_control and (event.resource.id != self._resource or event.workspace != self.workspace):
            return self.pass_over(record.position, record.received)
        decided = self._engine.step(record)
        if decided:
            self._take(decided)
        if is_control:
            return self._control(record)
        if event.workspace == self.workspace and event.type != vocabulary.CLOCK_TICKED:
            self._look(record)
        return None

    def begin_with(self, automation: Automation, revision: int, at: Micros) -> None:
        """Take the automation as installed before the first entry, for a log that is not folded from its start."""
        self._engine.apply(automation, revision, at=at, position=0, workspace=self.workspace)
        self._began = (0, at)
        self._look_for(automation)

    def pass_over(self, position: int, received: Micros) -> None:
        """Step over an entry that does not matter: it moves the clock."""
        self._take(self._engine.pass_over(position, received))

    def finish(self, at: Micros | None = None) -> dict[str, Any]:
        """Let the clock run on to a moment, and answer as a JSON object. Raises KeyNotUnderstood."""
        if at is not None:
            self._take(self._engine.advance(at))
        self._check_key()
        installed = self._engine.automations.get((self.workspace, self.name))
        key = self._key if self._key is not None else self._texts()
        shown_key = keys.nested(self._parts, key)
        fired = [firing for firing in self._firings if firing.key == shown_key]
        answer: dict[str, Any] = {
            "automation": self.name,
            "key": shown_key,
            "at": iso(self._engine.now),
            "position": self._engine.position,
            "revision": installed.revision if installed else None,
            "enabled": bool(installed and installed.enabled),
            "created": iso(self._began[1]) if self._began else None,
            "changed": {"change": self._changed[0], "time": iso(self._changed[1])} if self._changed else None,
            "broken": self._engine.broken.get((self.workspace, self.name)),
            "state": self._engine.explain_key(self.name, key, self.workspace),
            "firings": [firing.to_dict() for firing in fired[-_MAX_FIRINGS:]],
            "fired": len(fired),
            "read": {"first": self._first, "last": self._engine.position, "entries": self._entries},
            **self.sightings.to_dict(),
        }
        found = reasons(answer, keys.describe(self._parts, key))
        return {"summary": found[0], "reasons": found, **answer}

    def _take(self, decided: list[Firing]) -> None:
        self._firings += [each for each in decided if each.automation == self.name]

    def _control(self, record: Record) -> None:
        """Note what became of the automation."""
        self._changed = (record.event.type.partition(".")[2], record.received)
        installed = self._engine.automations.get((self.workspace, self.name))
        if installed is None:
            self._began = None
        elif record.event.type in _INSTALLS:
            self._began = self._began or (record.position, record.received)
            self._look_for(installed.automation)

    def _look_for(self, automation: Automation | None) -> None:
        self._parts = automation.trigger.for_each if automation else ()
        self._probes = (
            [(".".join(map(str, place)), Probe(each)) for place, each in walking.filters_in(automation.trigger)]
            if automation
            else []
        )
        self._part_of = [keys.compile_key((part,)) for part in self._parts]

    def _look(self, record: Record) -> None:
        """Ask what an event did for the key."""
        entry = Entry.of(record, self._engine.now)
        probes = [(name, probe) for name, probe in self._probes if probe.takes_type(entry)]
        if not probes:
            return
        found = [part_of(entry) for part_of in self._part_of]
        texts = [each[0].removeprefix("\0") if each else None for each in found]
        wanted = self._texts()
        is_other = any(text is not None and text != want for text, want in zip(texts, wanted, strict=True))
        for name, probe in probes:
            miss = probe.miss(entry)
            if is_other:
                if miss is None:
                    self.sightings.other_key(tuple(text or "" for text in texts))
            elif miss is not None:
                self.sightings.missed(entry, name, miss)
            elif None in texts:
                missing = [part for part, text in zip(self._parts, texts, strict=True) if text is None]
                self.sightings.without_key(entry, name, missing)
            elif not self._is_running:
                self.sightings.ignored(entry, name, "switched off" if self._began else "not there yet")
            else:
                self._key = tuple(each[0] for each in found if each)
                self.sightings.counted(entry, name)

    @property
    def _is_running(self) -> bool:
        installed = self._engine.automations.get((self.workspace, self.name))
        return installed is not None and installed.enabled

    def _texts(self) -> Key:
        if len(self._parts) == 1 and "" in self._wanted:
            return (self._wanted[""],)
        return tuple(self._wanted.get(part, "") for part in self._parts)

    def _check_key(self) -> None:
        if self._began is None and not self._parts:
            return
        given = set(self._wanted)
        if given == set(self._parts) or (given == {""} and len(self._parts) == 1):
            return
        if not self._parts:
            raise KeyNotUnderstood(f"`{self.name}` has no `for_each`: it has one window for everything, and no key")
        raise KeyNotUnderstood(
            f"`{self.name}` has windows for each {' and '.join(self._parts)}; say which:"
            f" {' '.join(f'{part}=…' for part in self._parts)}"
        )
