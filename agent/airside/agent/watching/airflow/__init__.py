"""Following an Airflow by its REST API, for what its listener is not told, and where there is no listener.

    watcher     `airflow://host:port/?instance=prod`: all feeds, one after the other
    feeds       rows of one kind since a moment, page by page, into events
    rest        asks Airflow, logs in, says what is wrong

Ids are those of the listener, so that a fact counts once, whichever way it came.
"""
