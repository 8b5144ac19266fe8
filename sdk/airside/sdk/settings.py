"""Where the server is and who asks: `AIRSIDE_*` variables, then `airside.toml`, then defaults."""

import tomllib
from pathlib import Path
from typing import Final

import platformdirs
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from airside.sdk.exceptions import SettingsError
from airside.sdk.project import FILE_NAME, find_file

__all__ = ["DEFAULT_URL", "FILE_NAME", "ClientSettings", "FileSettings", "find_file", "load"]

DEFAULT_URL: Final = "http://127.0.0.1:7700"


class FileSettings(BaseSettings):
    """What was given, then `AIRSIDE_*` variables, then `airside.toml`; no `.env` files and no secret folders."""

    model_config = SettingsConfigDict(env_prefix="AIRSIDE_", frozen=True, extra="ignore")

    @classmethod
    def from_file(cls, settings_cls: type[BaseSettings]) -> PydanticBaseSettingsSource:
        """Give what reads the file."""
        return TomlConfigSettingsSource(settings_cls, find_file())

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Name the sources, the first one that knows a setting counts."""
        return init_settings, env_settings, cls.from_file(settings_cls)


class ClientSettings(FileSettings):
    """What the SDK and the command need to know. Raises SettingsError through `load`."""

    url: str = Field(DEFAULT_URL, description="where the server answers: http(s)://host:port")
    token: SecretStr | None = Field(None, description="sent with each request; never printed")
    home: Path = Field(
        default_factory=lambda: platformdirs.user_data_path("airside", appauthor=False),
        description="the folder for everything Airside keeps on this machine",
    )

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https:// (nats:// is for `emit` alone)")
        return value.rstrip("/")

    @field_validator("home")
    @classmethod
    def _home(cls, value: Path) -> Path:
        return value.expanduser().absolute()


def load() -> ClientSettings:
    """Read the settings as they are now. Raises SettingsError naming the variable or the file."""
    try:
        return ClientSettings()
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{find_file()} is not valid TOML: {error}") from error
    except ValidationError as error:
        where = f"AIRSIDE_* or {find_file() or FILE_NAME}"
        wrong = "; ".join(
            f"{'.'.join(map(str, entry['loc']))}: {entry['msg'].removeprefix('Value error, ')}"
            for entry in error.errors(include_input=False, include_url=False)
        )
        raise SettingsError(f"settings ({where}): {wrong}") from None
