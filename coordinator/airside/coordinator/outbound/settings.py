"""What the operator allows of outgoing requests: `AIRSIDE_ALLOW_PRIVATE` and so on, then `airside.toml`."""

from pydantic import Field

from airside.sdk.settings import FileSettings


class OutboundSettings(FileSettings):
    """Which targets may be asked, and how long and how much they may answer."""

    allow_private: str = Field(
        "", description="hosts (`*.corp.example`), addresses and networks that may be asked although they are private"
    )
    allow_http: bool = Field(
        False, description="whether targets that are not in `allow_private` may be asked over http"
    )
    outbound_ca_file: str = Field("", description="certificates (PEM) to trust beside the usual ones")
    outbound_deadline_seconds: float = Field(15.0, gt=0, le=300, description="for one request, from name to answer")
    outbound_resolve_seconds: float = Field(5.0, gt=0, le=60, description="for the name server's part of it")
    outbound_max_response_bytes: int = Field(65_536, ge=0, le=16 * 2**20, description="of an answer that are read")
