"""What `rearm: each` means: windows in a list, looked through from the start for every event."""

from dataclasses import dataclass

from tests.property.reference import MEMORY, SECOND, History, Said, cooled, counted

AHEAD = 300 * SECOND  # by how much an event's own time may lie behind its log time


@dataclass
class Window:
    """One opening event's window. `broken` is the position of its breach."""

    anchor: str
    due: int
    verdict: int
    broken: int | None = None
    over: bool = False
    late: tuple | None = None  # what came before the verdict, yet after the deadline: its own time, clock


def firings(rule, entries):
    history = History(entries)
    events = counted(rule, history)
    said = []
    for key in dict.fromkeys(key for _, key in events):
        said += of_key(rule, history, key, [entry for entry, k in events if k == key])
    return said


def moment(rule, entry, clock):
    """The time by which an event is judged."""
    if rule.time == "log":
        return clock
    own = entry.received if entry.own is None else entry.own
    return min(max(own, entry.received - MEMORY), entry.received + AHEAD)


def of_key(rule, history, key, own):
    windows, said = [], []
    end = history.finished(rule, key)

    def judge(now):
        for window in sorted(windows, key=lambda w: w.verdict):
            position = history.decided(window.verdict)
            if window.over or window.broken or position is None or window.verdict >= now or (end and end < position):
                continue
            window.broken = position
            if not cooled(rule, said, window.due):
                window.over = True
                continue
            said.append(Said("triggered", key, window.anchor, window.due, position))
            if window.late:
                resolve(said, window, key, position, *window.late)

    for entry in own:
        clock = history.clock[entry.position]
        judge(clock)
        at = moment(rule, entry, clock)
        if entry.type == rule.expect:
            serve(rule, windows, said, history, key, entry, at)
        if entry.type == rule.after:
            due = at + rule.within
            opened = max(due, clock) if rule.time == "occurred" else due
            windows.append(Window(entry.id, due, opened + rule.grace))
    judge(float("inf"))
    return sorted(said, key=lambda s: s.position)


def serve(rule, windows, said, history, key, entry, at):
    """Use an expected event for one window: the oldest open one that it is in time for, or any, or a breach."""
    clock = history.clock[entry.position]
    is_open = [w for w in windows if not w.over and w.broken is None and w.late is None]
    in_time = [w for w in is_open if rule.time == "log" or at <= w.due]  # on the log's time, grace and all
    chosen = next(iter(in_time or is_open), None)
    if chosen is not None:
        chosen.over = bool(in_time)
        chosen.late = None if chosen.over else (at, clock)
        return
    breached = sorted((w for w in windows if not w.over and w.broken is not None), key=lambda w: w.verdict)
    if breached:
        if clock - history.clock[breached[0].broken] <= MEMORY:
            resolve(said, breached[0], key, entry.position, at, clock)
        breached[0].over = True


def resolve(said, window, key, position, at, clock):
    window.over = True
    late_by = (at if at > window.due else clock) - window.due
    said.append(Said("resolved", key, str(window.due), clock, position, late_by))
