"""What `airside.toml` may say. A key that nobody reads is a mistake that nobody would notice."""

from pathlib import Path
from typing import Any, Final

from pydantic_settings import BaseSettings, TomlConfigSettingsSource

from airside.events.exceptions import AirsideError
from airside.sdk.emitting.settings import NAMES
from airside.triggers.suggestions import did_you_mean

#: What the client and user code read from the same file; see `airside.sdk.settings`, `airside.sdk.emitting`
#: and `airside.agent.watching.plans`.
CLIENT_KEYS: Final = frozenset(NAMES) | {"watch"}
_VARIABLES_ALONE: Final = ("http_", "limits_", "secret_", "notify_", "webhook_", "header_")


class UnknownSetting(AirsideError):
    """A key of `airside.toml` is none that Airside knows."""


class SettingsFile(TomlConfigSettingsSource):
    """Reads the file, and raises UnknownSetting for keys that are neither the settings' own nor in `others`."""

    def __init__(self, settings: type[BaseSettings], path: Path | None, others: frozenset[str]) -> None:
        super().__init__(settings, path)
        known = frozenset(settings.model_fields) | others
        if wrong := [_wrong(key, known) for key in self.toml_data if key not in known]:
            raise UnknownSetting(f"{path}: {'; '.join(wrong)}")


def _wrong(key: Any, known: frozenset[str]) -> str:
    if str(key).startswith(_VARIABLES_ALONE):
        return f"`{key}` is read from the variable AIRSIDE_{str(key).upper()} alone"
    return f"unknown key `{key}`{did_you_mean(str(key), sorted(known))}"
