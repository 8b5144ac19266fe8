"""The documents the API takes and gives, for the OpenAPI description. Nothing is validated by these on its way out."""

from datetime import datetime
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from airside.coordinator.api import examples
from airside.coordinator.api.permissions import PUBLIC_ROUTES
from airside.coordinator.api.problems import MEDIA_TYPE
from airside.coordinator.tokens import Role
from airside.events.model import Event

T = TypeVar("T")


class Shown(BaseModel):
    """A document of the API; further members may be added, none is ever taken away."""

    model_config = ConfigDict(extra="allow")


class Accepted(Shown):
    """What became of posted events. `first` and `last` are the log positions of the new ones."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"accepted": 3, "duplicates": 0, "first": 1207, "last": 1209}]}
    )
    accepted: int
    duplicates: int
    first: int | None
    last: int | None
    id: str | None = Field(None, description="of one event that was posted alone")


class Page(Shown, Generic[T]):
    """One page of a list; `next` is the `cursor` of the following page, null on the last."""

    items: list[T]
    next: str | None = None


class EventDocument(Event):
    """An event with its place on the log."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.EVENT]}, title="Event")


class Count(Shown):
    """How many events there are."""

    count: int


class FieldProblem(Shown):
    """What is wrong with one field."""

    field: str
    message: str


class ProblemDocument(Shown):
    """An error, as RFC 9457 has it. `type` is for programs, `detail` for people."""

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None
    problems: list[FieldProblem] | None = None


class NewToken(BaseModel):
    """A token to be made."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "airflow", "role": "ingest", "expires": "2027-11-22T00:00:00Z"}]},
    )
    name: str = Field(min_length=1, max_length=100)
    role: Role
    expires: datetime | None = Field(None, description="with a zone; null: never")


class QueryRequest(BaseModel):
    """A read-only query over the views."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"sql": "SELECT type, count(*) AS n FROM events WHERE kind = ? GROUP BY 1", "parameters": ["table"]}
            ]
        },
    )
    sql: str = Field(min_length=1, max_length=100_000)
    parameters: list[Any] = Field([], max_length=1_000, description="values for `?` in the SQL, in order")
    limit: int = Field(10_000, ge=1, le=100_000, description="rows given at most")
    timeout: float = Field(10.0, gt=0, le=60.0, description="seconds the query may take")


class QueryAnswer(Shown):
    """Rows of a query over the views as they were at log position `position`."""

    columns: list[dict[str, Any]]
    rows: list[list[Any]]
    truncated: bool
    position: int


_DESCRIPTIONS: Final = {
    400: ("malformed-json", "The body is not what its content type says"),
    401: ("unauthorized", "No token, or one that is unknown, expired or revoked"),
    403: ("forbidden", "The token's role is not enough"),
    404: ("not-found", "There is nothing of this name"),
    408: ("body-too-slow", "The body stopped coming"),
    409: ("conflict", "Something else is under way"),
    413: ("body-too-large", "The body or one event is too large"),
    415: ("unsupported-media-type", "This content type or encoding is not taken"),
    422: ("invalid-event", "The input is refused; `problems` names each field"),
    429: ("queue-full", "Too many wait already; try again after `Retry-After` seconds"),
    503: ("log-unavailable", "Try again after `Retry-After` seconds: ids make a repeat harmless"),
    507: ("log-full", "The log has no room left"),
}


def answers(*statuses: int, good: Any = None, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """Describe what a route answers: `good` is an example of what was asked for, the others are problem documents.

    Beside those that are named, any route may answer 401 and 403.
    """
    found: dict[int | str, dict[str, Any]] = {}
    if good is not None:
        found[status] = {"content": {"application/json": {"example": good}}}
    for refusal in sorted({*statuses, 401, 403}):
        slug, description = _DESCRIPTIONS[refusal]
        document: dict[str, Any] = {
            "type": f"urn:airside:problem:{slug}",
            "title": slug.replace("-", " ").capitalize(),
            "status": refusal,
            "detail": f"{description}.",
        }
        if refusal == 422:
            document["problems"] = [{"field": "resource.id", "message": "Field required"}]
        schema = {"$ref": "#/components/schemas/ProblemDocument"}
        content = {MEDIA_TYPE: {"schema": schema, "example": document}}
        found[refusal] = {"description": description, "content": content}
    return found


def complete(description: dict[str, Any]) -> dict[str, Any]:
    """Put into the framework's description what it cannot know: how errors look, and how to show a token."""
    components = description.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    problem = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= {**problem.pop("$defs", {}), "ProblemDocument": problem}
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "ast_<id>_<secret>"}}
    refused = answers(422)[422]
    for path, operations in description["paths"].items():
        for operation in operations.values():
            operation["security"] = [] if path in PUBLIC_ROUTES else [{"token": []}]
            if MEDIA_TYPE not in operation["responses"].get("422", {}).get("content", {MEDIA_TYPE: None}):
                operation["responses"]["422"] = refused
    return description
