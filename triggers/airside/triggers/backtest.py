"""When would these rules have fired? The engine that decides live, on rules that are given and a part of a log.

The rules begin at the first entry, with empty windows, and stay as they are: what the log says of automations does not
change them. After the last entry the clock can run on, as if nothing more had happened.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from airside.events import stored, subjects, vocabulary
from airside.events.exceptions import AirsideError
from airside.events.stored import Stored
from airside.events.wire import Micros, Record
from airside.triggers.engine import Engine
from airside.triggers.firing import Firing
from airside.triggers.model import Automation

_FIRST_REVISION: Final = 1
_TICKED: Final = vocabulary.CLOCK_TICKED
_NEVER: Final[Micros] = 2**63
_TYPE_BEHIND: Final = subjects.TOKEN_CHARS + 1  # of the beginning of a subject
_MAX_TYPES: Final = 10_000  # whose chances are remembered; senders choose types freely


class OtherWorkspace(AirsideError):
    """The entries are of more than one workspace; export and test each alone."""


class Backtest:
    """Folds entries for given automations.

    Args:
        automations: the rules; those that are switched off stay so.
        revisions: the revision that each would be, by name; 1 unless given.
        workspace: whose rules they are; that of the first entry unless given.
        until: where the clock ends. Entries later than this are not folded; after the last one it runs on to there.
    """

    def __init__(
        self,
        automations: Sequence[Automation],
        *,
        revisions: Mapping[str, int] | None = None,
        workspace: str | None = None,
        until: Micros | None = None,
    ) -> None:
        self._automations = automations
        self._revisions = revisions or {}
        self._until = until
        #: What folds; not for anybody else to step.
        self.engine = Engine(control=False, gaps_allowed=True)
        self.workspace = workspace
        self._posts = b"\n"  # how the subjects of posted entries begin; none does before the rules began
        self._likely: dict[bytes, bool] = {}
        #: Entries folded, ticks among them.
        self.entries = 0
        self.ticks = 0
        self.began: Micros | None = None
        #: Whether entries beyond `until` were left out.
        self.cut_short = False

    @property
    def now(self) -> Micros:
        """Where the clock stands."""
        return self.engine.now

    @property
    def position(self) -> int:
        """The last position that was folded, 0 before the first."""
        return self.engine.position

    def run(self, records: Iterable[Record]) -> Iterator[Firing]:
        """Give the firings that the entries and then the clock decide, in order. Raises PositionGap, OtherWorkspace."""
        step, workspace = self.engine.step, None
        until = _NEVER if self._until is None else self._until
        for record in records:  # as `step` does, with less ado for nearly all of them
            event = record.event
            if event.workspace != workspace or event.type == _TICKED or record.received > until:
                decided = self.step(record)
                workspace = self.workspace
                if self.cut_short:
                    break
            else:
                self.entries += 1
                decided = step(record)
            if decided:
                yield from decided
        yield from self.finish()

    def fold(self, entries: Iterable[Stored], *, watch: Callable[[Record], None] | None = None) -> Iterator[Firing]:
        """Give the firings that entries decide as they stand on the log, without letting the clock run on after them.

        What can do no more than move the clock is not decoded: that leaves out nothing that `step` would decide.
        Entries that are no event, and those of other workspaces, are stepped over. `watch` is shown each event that the
        plane wrote, and others that were decoded. Raises PositionGap.
        """
        until = _NEVER if self._until is None else self._until
        engine, posts, likely = self.engine, self._posts, self._likely
        for entry in entries:
            position, received, subject, data = entry
            if received > until or not subject.startswith(posts):
                decided = self._decoded(entry, watch)
                posts = self._posts
                if self.cut_short:
                    break
            else:
                self.entries += 1
                words = subject[len(posts) + _TYPE_BEHIND :]
                record = None if self._is_idle(data, likely.get(words), words) else _record(entry)
                decided = engine.pass_over(position, received) if record is None else engine.step(record)
            if decided:
                yield from decided

    def _is_idle(self, data: bytes, likely: bool | None, words: bytes) -> bool:
        """Tell whether a posted entry can do no more than move the clock.

        Its subject names its type in `words`. That it can matter is only believed: then looking into it saves nothing.
        """
        if likely is None:
            likely = self.engine.concerns(self.workspace or "", words.decode("utf-8", "replace"), "")
            if len(self._likely) < _MAX_TYPES:
                self._likely[words] = likely
        if likely:
            return False
        try:
            seen = stored.glance(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return True
        return not self.engine.concerns(seen.workspace, seen.type, seen.resource.id)

    def _decoded(self, entry: Stored, watch: Callable[[Record], None] | None) -> list[Firing]:
        record = _record(entry)
        if record is None:
            self.entries += entry[2].startswith(self._posts)
            return self.pass_over(entry[0], entry[1])
        event = record.event
        if event.workspace != (self.workspace or event.workspace) and event.type != _TICKED:
            return self.pass_over(record.position, record.received)
        if watch is not None:
            watch(record)
        return self.step(record)

    def step(self, record: Record) -> list[Firing]:
        """Fold one entry, unless the clock is at its end: then `cut_short` is set."""
        if self._until is not None and record.received > self._until:
            self.cut_short = True
            return []
        if self.began is None:
            self._begin(record)
        event = record.event
        is_tick = event.type == _TICKED and subjects.is_own(record.subject)
        if event.workspace != self.workspace and not is_tick:
            raise OtherWorkspace(
                f"position {record.position} is of the workspace `{event.workspace}`, what came before of"
                f" `{self.workspace}`; export and test each workspace alone"
            )
        self.entries += 1
        self.ticks += is_tick
        return self.engine.step(record)

    def pass_over(self, position: int, received: Micros) -> list[Firing]:
        """Step over an entry that does not concern the rules: it moves the clock. Raises PositionGap."""
        if self.began is None or (self._until is not None and received > self._until):
            return []
        return self.engine.pass_over(position, received)

    def finish(self, to: Micros | None = None) -> list[Firing]:
        """Let the clock run on to its end, or to a moment before it. Without any entry there is nothing to decide."""
        if self._until is None or self.began is None:
            return []
        return self.engine.advance(self._until if to is None else min(to, self._until))

    def _begin(self, record: Record) -> None:
        self.began, self.workspace = record.received, self.workspace or record.event.workspace
        self._posts = f"ev.{self.workspace}.".encode()
        for automation in self._automations:
            revision = self._revisions.get(automation.name, _FIRST_REVISION)
            self.engine.apply(automation, revision, at=record.received, position=0, workspace=self.workspace)


def _record(entry: Stored) -> Record | None:
    try:
        return stored.record(entry)
    except stored.NotAnEvent:
        return None


def listed(firings: Iterable[Firing]) -> list[dict[str, Any]]:
    """Show firings as lists of firings on a server do: also which later one resolved each."""
    shown = [{**firing.to_dict(), "log_position": None, "resolved_by": None} for firing in firings]
    by_id = {each["id"]: each for each in shown}
    for each in shown:
        del each["workspace"], each["depth"]
        resolved = by_id.get(each["resolves"])
        if resolved is not None:
            resolved["resolved_by"] = each["id"]
    return shown
