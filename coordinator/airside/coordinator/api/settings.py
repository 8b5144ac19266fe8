"""How the HTTP side is bounded. Settings: `AIRSIDE_HTTP_MAX_BODY_BYTES=…` and so on."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class HttpSettings(BaseSettings):
    """Bounds on requests and streams. Each exists so that one client cannot take the plane from the others."""

    model_config = SettingsConfigDict(env_prefix="AIRSIDE_HTTP_", frozen=True)

    max_body_bytes: int = Field(64 * 2**20, ge=2**10, description="one request's body, after decompression")
    max_bodies_bytes: int = Field(256 * 2**20, ge=2**10, description="all bodies that are being worked on, together")
    max_expansion: int = Field(200, ge=2, le=1_032, description="bytes out per byte in of a compressed body")
    max_document_bytes: int = Field(2**20, ge=2**10, description="a body that is no event: automations, a query")
    max_hook_bytes: int = Field(2 * 2**20, ge=2**10, description="one delivery to a hook, after decompression")
    body_pause_seconds: float = Field(60.0, gt=0, description="how long a body may stop coming")
    header_seconds: float = Field(10.0, gt=0, description="how long a connection may take to ask for something")
    max_connections: int = Field(
        4_096, ge=16, description="open connections; fewer where the process may have few file descriptors"
    )
    max_streams: int = Field(500, ge=1, description="open event streams")
    max_sockets: int = Field(500, ge=1, description="open connections on which Prefect's clients send events")
    stream_comment_seconds: float = Field(15.0, gt=0, description="silence after which a stream says it is alive")
    stream_recheck_seconds: float = Field(60.0, gt=0, description="how often an open stream's token is checked again")
    max_failed_logins: int = Field(10, ge=1, description="wrong tokens a minute from one address")
    max_exports: int = Field(8, ge=1, description="exports at one time")
    max_replay_entries: int = Field(
        1_000_000, ge=1, description="log entries that a backtest or a why-not on the server folds"
    )
    max_replays: int = Field(2, ge=1, description="backtests and why-nots at one time; others wait")
    allowed_hosts: tuple[str, ...] = Field(
        (), description="names, beside loopback's, that a plane without tokens answers to"
    )
