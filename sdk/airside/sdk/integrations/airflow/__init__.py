"""Airflow (3.x): a plugin whose listener emits what happens to DAG runs, tasks, assets and DAG files.

    plugin      what Airflow loads by its entry point
    hooks       the listener: each hook says which facts, and nothing of it raises
    facts       Airflow's objects as plain values
    sending     the way out of a process that belongs to Airflow: the spool first, then one short try
    settings    AIRSIDE_* and the section [airside] of airflow.cfg

Airflow calls hooks inline: in the scheduler's loop, in the process of a task, inside requests. So a hook only writes
to the spool; a thread sends. Only a task that has ended, whose process is about to go, waits a second for it.
"""
