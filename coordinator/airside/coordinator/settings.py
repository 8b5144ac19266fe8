"""How a coordinator runs. Settings: `AIRSIDE_PORT=7700` and so on, then `airside.toml`, then these defaults."""

from pathlib import Path

import platformdirs
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from airside.coordinator.api.gate import is_local_host
from airside.coordinator.outbound import OutboundSettings
from airside.coordinator.settings_file import CLIENT_KEYS, SettingsFile
from airside.events.aliases import Aliases
from airside.sdk.settings import FileSettings, find_file


class ServerSettings(FileSettings):
    """Everything `airside up` can be told."""

    home: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("airside", appauthor=False)),
        description="the folder for everything this coordinator keeps",
    )
    host: str = Field("127.0.0.1", description="the address HTTP listens on")
    port: int = Field(7700, ge=0, le=65_535, description="the port HTTP listens on; 0: any free one")
    nats_url: SecretStr | None = Field(None, description="a NATS server or cluster to use instead of the embedded one")
    nats_port: int = Field(-1, description="the embedded server's port on loopback; -1: any free one")
    replicas: int = Field(1, ge=1, le=5, description="copies of each stream in a NATS cluster")
    max_log_bytes: int = Field(-1, ge=-1, description="size at which the log refuses events; -1: none")
    lease_seconds: int = Field(30, ge=15, le=3_600, description="how long a silent agent keeps the runs it has")
    tls_cert: Path | None = Field(None, description="certificate file (PEM); wanted off loopback")
    tls_key: Path | None = Field(None, description="its key file (PEM)")
    blocks_key: SecretStr | None = Field(None, description="what seals blocks: 32 bytes as base64; else one is made")
    blocks_key_file: Path | None = Field(None, description="a file that holds it instead")
    aliases: dict[str, str] = Field({}, description="other names of resources: see `airside.events.aliases`")

    @field_validator("aliases")
    @classmethod
    def _usable(cls, value: dict[str, str]) -> dict[str, str]:
        Aliases(value)
        return value

    @property
    def names(self) -> Aliases:
        """The aliases, ready to be looked up."""
        return Aliases(self.aliases)

    @model_validator(mode="after")
    def _closed_by_default(self) -> "ServerSettings":
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ValueError("tls_cert and tls_key go together")
        if not self.loopback and not self.tls_cert:
            raise ValueError(
                f"{self.host} can be reached from outside this machine: give --tls-cert and --tls-key, or listen on"
                " 127.0.0.1 behind a proxy that does TLS"
            )
        return self

    @property
    def loopback(self) -> bool:
        """Tell whether only this machine can reach the HTTP address."""
        return is_local_host(self.host)

    @classmethod
    def from_file(cls, settings_cls: type[BaseSettings]) -> PydanticBaseSettingsSource:
        """Give what reads the file, and refuses keys that nobody reads."""
        others = CLIENT_KEYS | OutboundSettings.model_fields.keys()
        return SettingsFile(settings_cls, find_file(), others)
