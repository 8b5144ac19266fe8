"""How events leave a user's process: encoded in the call, shipped by a thread, spooled when the server is away.

    message     from what people pass to one line of JSON; pure
    settings    AIRSIDE_* and airside.toml, read without pydantic: this runs inside other people's jobs
    segment     one file of events that wait, with its lock and its cursor
    spool       the segments of one process, and those that dead processes left
    transport   what sending can come to; `http` and `nats` do it
    breaker     when to try again after the server was away
    shipper     the queue, the thread, and the order between memory and disk
    emitter     the shipper of one process with its settings: what `emit` talks to
    notices     warnings said once, and counters

Nothing here imports pydantic, and httpx only in the shipper's thread.
"""
