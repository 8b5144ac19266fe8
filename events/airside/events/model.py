"""The event as people write and read it: pydantic models, strict, with an error for each field.

The hot paths use the leaner twin in `airside.events.wire`; `airside.events.validation` keeps the two in step.
"""

import re
import secrets
import time as clock
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    field_validator,
    model_validator,
)

DEFAULT_WORKSPACE: Final = "default"
DEFAULT_SOURCE: Final = "api://events"

# A type is tokens between dots. Wildcards, spaces and control characters would make it a pattern or break a line.
_TYPE = re.compile(r"[^\s.*>\x00-\x1f\x7f]+(\.[^\s.*>\x00-\x1f\x7f]+)*")
_DATE = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_WORKSPACE = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")

TYPE_RULE: Final = "one or more words between dots, without spaces, `*` or `>`, like `table.updated`"
TEXT_RULE: Final = "must not be empty or hold control characters"
ZONE_RULE: Final = "must say its time zone, like 2026-11-22T09:00:00Z or +01:00"


def uuid7() -> str:
    """Make a UUIDv7 (RFC 9562): unique, and sorted by the millisecond it was made in."""
    millis = clock.time_ns() // 1_000_000
    value = millis << 80 | 0x7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62)
    return str(UUID(int=value))


@lru_cache(maxsize=4_096)
def is_type(value: str) -> bool:
    """Tell whether the text can be an event's type."""
    return _TYPE.fullmatch(value) is not None


@lru_cache(maxsize=256)
def is_workspace(value: str) -> bool:
    """Tell whether the text can name a workspace."""
    return _WORKSPACE.fullmatch(value) is not None


def kind_of(resource_id: str) -> str:
    """Derive a resource's kind from its id: the scheme of `table://warehouse/sales` is `table`."""
    scheme, separator, _ = resource_id.partition("://")
    return scheme if separator and scheme else "resource"


def name_of(resource_id: str) -> str:
    """Derive a resource's name from its id: the last part of `table://warehouse/sales` is `sales`."""
    return resource_id.rstrip("/").rpartition("/")[2] or resource_id


def plain_text(value: str) -> str:
    """Refuse text that is empty or holds control characters."""
    if not value or _CONTROL.search(value):
        raise ValueError(TEXT_RULE)
    return value


def _event_type(value: str) -> str:
    if not is_type(value):
        raise ValueError(f"must be {TYPE_RULE}")
    return value


def _resource(value: Any) -> Any:
    """Accept `"table://warehouse/sales"` for `{"id": "table://warehouse/sales"}`."""
    return {"id": value} if isinstance(value, str) else value


class Resource(BaseModel):
    """What an event is about: a flow, a run, a table, a queue. `id` is URI-like and stable."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: str = Field(description="URI-like and stable, as `table://warehouse/sales`")
    kind: str = Field("", description="by default the scheme of the id: `table`")
    name: str = Field("", description="by default the last part of the id: `sales`")
    labels: dict[str, str] = Field(default_factory=dict)

    @field_validator("id")
    @classmethod
    def _id(cls, value: str) -> str:
        return plain_text(value)

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("id"), str):
            return {
                **data,
                "kind": data.get("kind") or kind_of(data["id"]),
                "name": data.get("name") or name_of(data["id"]),
            }
        return data


class RelatedResource(Resource):
    """Another resource that an event involves, with the part it plays: `flow`, `job`, `upstream`."""

    role: str

    @field_validator("role")
    @classmethod
    def _role(cls, value: str) -> str:
        return plain_text(value)


class Event(BaseModel):
    """An immutable fact: something happened to a resource at a time.

    `time` is the producer's clock, in any zone, kept as UTC with microseconds. `position` and `received`
    are set by the log alone. CloudEvents 1.0 in spirit; see `airside.events.cloudevents`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(default_factory=uuid7, description="unique per workspace; a repeat counts once")
    type: str = Field(description=TYPE_RULE)
    time: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC), description="when it happened, with a zone")
    source: str = Field(DEFAULT_SOURCE, description="who says so, as `airflow://prod`")
    resource: Annotated[Resource, BeforeValidator(_resource)]
    related: tuple[RelatedResource, ...] = ()
    payload: dict[str, JsonValue] = Field(default_factory=dict)
    causes: tuple[str, ...] = ()
    workspace: str = DEFAULT_WORKSPACE
    position: int | None = Field(None, ge=1, description="log sequence; set by the log")
    received: AwareDatetime | None = Field(None, description="log time; set by the log")

    @field_validator("id", "source")
    @classmethod
    def _text(cls, value: str) -> str:
        return plain_text(value)

    @field_validator("type")
    @classmethod
    def _type(cls, value: str) -> str:
        return _event_type(value)

    @field_validator("causes")
    @classmethod
    def _causes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(plain_text(cause) for cause in value)

    @field_validator("workspace")
    @classmethod
    def _workspace(cls, value: str) -> str:
        if not is_workspace(value):
            raise ValueError("must be 1 to 40 of a-z, 0-9, `-` and `_`, starting with a letter or digit")
        return value

    @field_validator("time", "received", mode="before")
    @classmethod
    def _no_numbers(cls, value: Any) -> Any:
        """Refuse what pydantic would read as seconds since 1970."""
        if isinstance(value, str) and not _DATE.match(value):
            raise ValueError(f"must be a date and time; it {ZONE_RULE}")
        if value is not None and not isinstance(value, str | datetime):
            raise ValueError(f"must be text; it {ZONE_RULE}")
        return value

    @field_validator("time", "received")
    @classmethod
    def _utc(cls, value: datetime | None) -> datetime | None:
        try:
            return value and value.astimezone(UTC)
        except OverflowError as error:
            raise ValueError("must lie in the years 1 to 9999 in UTC") from error
