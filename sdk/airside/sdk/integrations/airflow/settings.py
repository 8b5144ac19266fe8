"""Where Airflow's events go: `AIRSIDE_*`, then the section [airside] of airflow.cfg, then `airside.toml`."""

import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from airside.sdk.emitting import settings as emit_settings
from airside.sdk.emitting.settings import BadSettings, EmitSettings

DEFAULT_INSTANCE: Final = "airflow"
_EXIT_SECONDS: Final = 1.0
#: What airflow.cfg may say in [airside], by the same names.
_NAMES: Final = ("url", "token", "home", "spool", "spool_max_bytes", "workspace", "airflow_instance")


@dataclass(frozen=True, slots=True)
class AirflowSettings:
    """The name of this Airflow, and how its processes emit."""

    instance: str
    emit: EmitSettings
    #: Where DAG files are, so that their names are the same on each machine.
    dags_folder: str = ""


def load(
    environment: Mapping[str, str] | None = None, configured: Callable[[str, str], Any] | None = None
) -> AirflowSettings | None:
    """Read the settings as they are now; None when there is nowhere to send to. Raises BadSettings.

    `configured(section, key)` reads airflow.cfg; by default Airflow does.
    """
    given = dict(os.environ if environment is None else environment)
    configured = configured or _configured
    for name in _NAMES:
        value = configured("airside", "instance" if name == "airflow_instance" else name)
        if value not in (None, ""):
            given.setdefault(f"AIRSIDE_{name.upper()}", str(value))
    emitting = emit_settings.load(given)
    if not emitting.url:
        return None
    instance = given.get("AIRSIDE_AIRFLOW_INSTANCE", "").strip() or DEFAULT_INSTANCE
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", instance):
        raise BadSettings("AIRSIDE_AIRFLOW_INSTANCE must be 1 to 63 letters, digits, `.`, `_` and `-`")
    own = replace(emitting, durable=True, strict=False, exit_seconds=_EXIT_SECONDS, source=f"airflow://{instance}")
    return AirflowSettings(instance, own, str(configured("core", "dags_folder") or ""))


def _configured(section: str, key: str) -> Any:
    """Ask Airflow's own configuration, whichever of its two this process has."""
    try:
        if "airflow.configuration" in sys.modules:
            from airflow.configuration import conf  # noqa: PLC0415
        else:
            from airflow.sdk.configuration import conf  # noqa: PLC0415
        return conf.get(section, key, fallback=None)
    except Exception:  # noqa: BLE001 - without a configuration there is the environment
        return None
