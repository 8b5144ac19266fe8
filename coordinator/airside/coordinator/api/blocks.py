"""/api/blocks: named configuration and credentials. Only `reveal` gives what is secret, and the log tells of it."""

from collections.abc import Awaitable
from datetime import datetime
from typing import Any, Final, TypeVar

from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from airside.coordinator.api import documents
from airside.coordinator.api.paging import answer
from airside.coordinator.api.problems import RETRY_AFTER_SECONDS, ApiProblem, invalid, not_found
from airside.coordinator.api.routing import plane_of, principal_of, router
from airside.coordinator.blocks.book import BlocksLocked, BlocksUnavailable, NoSuchBlock, StoredBlock, TooManyBlocks
from airside.events import blocks, references
from airside.events.blocks import InvalidBlock
from airside.events.exceptions import Problem

T = TypeVar("T")

routes = router("blocks")
_BLOCK: Final = {
    "name": "warehouse-git",
    "type": "git",
    "revision": 2,
    "description": "reads the repositories of the warehouse",
    "fields": {"username": "airside"},
    "secrets": {"token": "set"},
    "created": "2026-11-22T08:41:07.120000Z",
    "updated": "2026-11-22T09:02:44.000000Z",
    "by": "maria",
}
_TYPE: Final = {
    "type": "secret",
    "description": "One secret text: a password, an API key.",
    "fields": [{"name": "value", "secret": True, "required": True, "description": ""}],
}
_REVEALED: Final = {
    "name": "warehouse-git",
    "type": "git",
    "revision": 2,
    "fields": {"username": "airside", "token": "glpat-…"},
    "secrets": ["token"],
}


class NewBlock(BaseModel):
    """A block to be kept under its name."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"type": "git", "fields": {"token": "glpat-…"}}]}
    )
    type: str = Field(max_length=100, description="one of those that /api/blocks/types lists")
    fields: dict[str, Any] = Field(max_length=100, repr=False)
    description: str = Field("", max_length=1_000)


@routes.get("/api/blocks", summary="List blocks", responses=documents.answers(503, good={"items": [_BLOCK]}))
async def list_blocks(request: Request) -> Response:
    """Give the blocks of the caller's workspace by name. Of what is secret only whether it is set."""
    found = await _guarded(plane_of(request).blocks.store.all(principal_of(request).workspace))
    return answer({"items": [_shown(each) for each in found], "next": None})


@routes.get("/api/blocks/types", summary="List types of blocks", responses=documents.answers(good={"items": [_TYPE]}))
async def list_types(request: Request) -> Response:
    """Give the types of blocks with their fields, and which of these are secret."""
    return answer({"items": blocks.described(), "next": None})


@routes.get("/api/blocks/{name}", summary="Show a block", responses=documents.answers(404, 503, good=_BLOCK))
async def show_block(request: Request, name: str) -> Response:
    """Give a block. Of what is secret only whether it is set."""
    return answer(_shown(await _guarded(plane_of(request).blocks.store.find(principal_of(request).workspace, name))))


@routes.put("/api/blocks/{name}", summary="Set a block", responses=documents.answers(409, 422, 503, 507, good=_BLOCK))
async def set_block(request: Request, name: str, wanted: NewBlock) -> Response:
    """Make a block, or put another in the place of the one there is: fields that are not given are gone.

    The log tells who did it: `audit.block_created` or `audit.block_updated`.
    """
    found = [] if references.is_name(name) and name != "types" else [Problem("name", references.NAME_RULE)]
    try:
        fields = blocks.parse(wanted.type, wanted.fields)
    except InvalidBlock as error:
        raise invalid("invalid-block", "The block is refused.", [*found, *error.problems]) from None
    if found:
        raise invalid("invalid-block", "The block is refused.", found)
    desk, principal = plane_of(request).blocks, principal_of(request)
    return answer(_shown(await _guarded(desk.set(principal, name, wanted.type, fields, wanted.description))))


@routes.delete(
    "/api/blocks/{name}", status_code=204, summary="Remove a block", responses=documents.answers(404, 409, 503, 507)
)
async def remove_block(request: Request, name: str) -> Response:
    """Remove a block; what names it fails from now on. The log tells who did it: `audit.block_deleted`."""
    await _guarded(plane_of(request).blocks.delete(principal_of(request), name))
    return Response(status_code=204)


@routes.post(
    "/api/blocks/{name}/reveal",
    summary="Give a block's values",
    responses=documents.answers(404, 409, 503, 507, good=_REVEALED),
)
async def reveal_block(request: Request, name: str) -> Response:
    """Give a block with what is secret in it, to agents, their runs, and admins.

    The log tells who asked, before the answer: `audit.block_revealed`.
    """
    opened = await _guarded(plane_of(request).blocks.reveal(principal_of(request), name))
    return answer(
        {
            "name": opened.name,
            "type": opened.type,
            "revision": opened.revision,
            "fields": dict(opened.fields),
            "secrets": list(opened.secrets),
        }
    )


async def _guarded(work: Awaitable[T]) -> T:
    try:
        return await work
    except NoSuchBlock as error:
        raise not_found(f"{error}.") from error
    except TooManyBlocks as error:
        raise ApiProblem(422, "too-many", str(error)) from error
    except BlocksLocked as error:
        raise ApiProblem(409, "blocks-locked", f"{error}.") from error
    except BlocksUnavailable as error:
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        raise ApiProblem(503, "blocks-unavailable", str(error), headers=headers) from error


def _shown(block: StoredBlock) -> dict[str, Any]:
    return {
        "name": block.name,
        "type": block.type,
        "revision": block.revision,
        "description": block.description,
        "fields": block.plain,
        "secrets": {name: "set" if name in block.secrets else "not set" for name in _secrets(block)},
        "created": _time(block.created),
        "updated": _time(block.updated),
        "by": block.by,
    }


def _secrets(block: StoredBlock) -> list[str]:
    """Name the fields of a block that are secret; of a type that this version does not know, those that are set."""
    return blocks.secrets_of(block.type) if block.type in blocks.TYPES else block.secrets


def _time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
