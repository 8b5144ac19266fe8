"""What Airflow loads by the entry point `airflow.plugins`."""

from airflow.plugins_manager import AirflowPlugin


class AirsidePlugin(AirflowPlugin):  # type: ignore[misc]
    """Brings the listener."""

    name = "airside"
