"""What every list of the API has in common: limits, cursors, and the shape of a page."""

from collections.abc import Callable
from typing import Any, Concatenate, Final, ParamSpec

import orjson
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from airside.coordinator.api.plane import Plane
from airside.coordinator.api.problems import invalid
from airside.coordinator.views.exceptions import BadCursor
from airside.coordinator.views.reads import Page
from airside.events.exceptions import Problem

P = ParamSpec("P")

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 1_000


class PageQuery(BaseModel):
    """Which page of a list. A parameter that is not known is refused: it would have been a filter that does nothing."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, description="items on one page")
    cursor: str | None = Field(None, max_length=2_000, description="`next` of the page before, with the same filters")


async def answer_page(
    plane: Plane, function: Callable[Concatenate[Any, P], Page], *args: P.args, **kwargs: P.kwargs
) -> Response:
    """Read one page of the views and answer with it."""
    try:
        page = await plane.run_read(function, *args, **kwargs)
    except BadCursor as error:
        problem = Problem("cursor", "is not one that this list gave; begin again without it")
        raise invalid("invalid-request", "The request is refused.", [problem]) from error
    return answer({"items": page.items, "next": page.next})


def answer(document: Any, status: int = 200) -> Response:
    """Answer with a JSON document."""
    return Response(orjson.dumps(document), status_code=status, media_type="application/json")
