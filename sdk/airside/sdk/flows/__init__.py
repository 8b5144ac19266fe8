"""Flows and tasks: functions whose runs are observed, retried, cached, run side by side.

    options      what `@flow` and `@task` may be told; checked when decorating
    parameters   from a call to named, validated values
    states       what a run came to, and how the end of a flow follows from its tasks
    reporting    each change of state becomes an event; no server, no cost
    context      which run this code belongs to
    attempts     running a function once: time limits, printed lines, generators
    retries      whether and when to try again
    task_run     one run of a task, from its first state to its last
    flow_run     one run of a flow
    futures      what `submit` gives, and how futures find their way into arguments
    runners/     where submitted tasks run: threads, processes, Dask, Ray
    caching      keys; `storage` holds what they lead to

Nothing here needs a server. Nothing a function is called with, or returns, leaves the machine by itself.
"""
