"""Discovering: looks at what is on the agent's side, and says what of it Airside could follow, and how.

    place        where is looked: variables, home, folders, and how a way in is asked whether it is there
    found        one thing that was found; never with a secret in it
    dbt, airflow, cron, variables, kubernetes
                 what each knows to look for; a new one is a module with `find(place)` and one entry in `command`
    writing      the file of watchers that is made of it
    reporting    events that tell the server of it, when somebody asks for that
    command      `airside agent discover`

Nothing is sent unasked and nothing is changed: files are read, and loopback alone is asked whether an Airflow answers.
"""
