"""What Airflow loads by the entry point `airflow.plugins`. Nothing else of ours imports Airflow at its top."""

from typing import Any, ClassVar

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin
from airside.sdk.integrations.airflow import hooks

for _name in hooks.NAMES:
    hookimpl(getattr(hooks.Hooks, _name))


class AirsidePlugin(AirflowPlugin):  # type: ignore[misc]
    """Brings the listener: one object, for Airflow passes over lists of functions."""

    name = "airside"
    listeners: ClassVar[list[Any]] = [hooks.Hooks()]
