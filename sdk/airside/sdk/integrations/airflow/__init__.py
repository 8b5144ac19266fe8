"""Airflow (3.x): a plugin whose listener emits what happens to DAG runs, tasks, assets and DAG files."""
