"""What `rearm: each` means: windows in a list, looked through from the start for every event."""

from tests.property.reference import MEMORY, History, Said, cooled, counted


def firings(rule, entries):
    history = History(entries)
    events = counted(rule, history)
    said = []
    for key in dict.fromkeys(key for _, key in events):
        said += of_key(rule, history, key, [entry for entry, k in events if k == key])
    return said


def of_key(rule, history, key, own):
    """Windows as `[opening id, due, breach's position or None, over]`, oldest first."""
    windows, said = [], []
    end = history.finished(rule, key)

    def judge(now):
        for window in sorted(windows, key=lambda w: w[1]):
            anchor, due, broken, over = window
            position = history.decided(due + rule.grace)
            if over or broken or position is None or due + rule.grace >= now or (end and end < position):
                continue
            window[2] = position
            if cooled(rule, said, due):
                said.append(Said("triggered", key, anchor, due, position))
            else:
                window[3] = True

    for entry in own:
        clock = history.clock[entry.position]
        judge(clock)
        if entry.type == rule.expect:
            serve(windows, said, history, key, entry, clock)
        if entry.type == rule.after:
            windows.append([entry.id, clock + rule.within, None, False])
    judge(float("inf"))
    return sorted(said, key=lambda s: s.position)


def serve(windows, said, history, key, entry, clock):
    is_open = [w for w in windows if not w[3] and w[2] is None]
    if is_open:
        is_open[0][3] = True
        return
    breached = [w for w in windows if not w[3]]
    if breached:
        _, due, position, _ = breached[0]
        breached[0][3] = True
        if clock - history.clock[position] <= MEMORY:
            said.append(Said("resolved", key, str(due), clock, entry.position, clock - due))
