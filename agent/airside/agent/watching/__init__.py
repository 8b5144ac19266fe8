"""Watching: asks something outside again and again what happened there, and emits it as events.

    watcher     what every watcher is: `poll` from a cursor, give events and the next cursor; pure but for its asking
    schemes     which watcher a URL names; a new one is one entry
    cursors     where each watcher got to, kept on disk
    loop        polls, hands events to the emitter, and only then moves the cursor
    command     `airside watch URL`

A watcher may see a fact again after a crash: its events have ids made from the fact, so it counts once.
"""
