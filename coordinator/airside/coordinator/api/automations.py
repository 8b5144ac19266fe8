"""Automations: applying files of them, looking at them, switching them on and off."""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Annotated, Any, Final

import orjson
from fastapi import Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from airside.coordinator import linting
from airside.coordinator.actions.missing import missing, names_blocks
from airside.coordinator.actions.settings import ActionSettings
from airside.coordinator.api import bodies, documents, examples
from airside.coordinator.api.aside import aside
from airside.coordinator.api.paging import answer
from airside.coordinator.api.plane import NotFound, Plane
from airside.coordinator.api.problems import ApiProblem, not_found
from airside.coordinator.api.routing import default_plane_of, plane_of, principal_of, router
from airside.coordinator.blocks.book import BlocksUnavailable
from airside.coordinator.views import reads
from airside.events import redaction
from airside.triggers import document
from airside.triggers.model import Automation

routes = router("automations")

ACCEPTED_TYPES: Final = "application/yaml, text/plain or application/json"
_YAML: Final = frozenset({"application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml", "text/plain"})


class ApplyQuery(BaseModel):
    """How to apply."""

    model_config = ConfigDict(extra="forbid")

    dry_run: bool = Field(False, description="only check the file and say what would change")


@routes.get(
    "/api/automations", summary="List automations", responses=documents.answers(good=examples.page(examples.AUTOMATION))
)
async def list_automations(request: Request) -> Response:
    """Give all automations with their newest revision and when each last fired."""
    plane = plane_of(request)
    workspace = principal_of(request).workspace
    items = await plane.run_read(reads.list_automations, workspace)
    held = plane.held_back(workspace)
    return answer({"items": [{**item, **_held_back(held, item["name"])} for item in items], "next": None})


@routes.post(
    "/api/automations",
    summary="Apply a file of automations",
    openapi_extra=examples.POST_AUTOMATIONS,
    responses=documents.answers(400, 409, 413, 415, 422, 503, 507, good=examples.CHANGES),
)
async def apply_automations(request: Request, wanted: Annotated[ApplyQuery, Query()]) -> Response:
    """Create what is new, write a new revision of what changed, leave the rest. What the file lacks is not deleted.

    Mistakes are answered all at once, each with `line`, `column`, `path` and `message`, and nothing is applied.
    `warnings` say what the actions need of this server and would not find: variables, an extra, an allowed address.
    """
    plane = default_plane_of(request)
    text = await read_text(request, plane)
    found = await aside(len(text), parse, text)
    if wanted.dry_run:
        items = [await _would_change(plane, automation, principal_of(request).workspace) for automation in found]
    else:
        items = await plane.automations.apply(found)
    settings, blocks = ActionSettings(), await _blocks(plane, found, principal_of(request).workspace)
    lacking = [
        {"automation": automation.name, "path": path, "message": message}
        for automation in found
        for path, message in missing(automation.to_document(), settings, blocks)
    ]
    return answer({"items": items, "next": None, "warnings": lacking})


@routes.get(
    "/api/automations/{name}", summary="Show an automation", responses=documents.answers(404, good=examples.AUTOMATION)
)
async def show_automation(request: Request, name: str) -> Response:
    """Give an automation as it stands: its document, revision, state, and when it last fired.

    `keys_refused` are events that did not count because there were too many keys, `keys_dropped` keys that were
    forgotten to make room, `loops_stopped` firings held back because rules set each other off; since it was enabled.
    """
    held = plane_of(request).held_back(principal_of(request).workspace)
    return answer({**await _existing(request, name), **_held_back(held, name)})


@routes.post(
    "/api/automations/{name}/enable",
    summary="Enable an automation",
    responses=documents.answers(404, 409, 503, 507, good={"name": "sales-by-nine", "enabled": True}),
)
async def enable_automation(request: Request, name: str) -> Response:
    """Let the automation fire again, on what happens from now on."""
    await _or_404(default_plane_of(request).automations.enable(name), name)
    return answer({"name": name, "enabled": True})


@routes.post(
    "/api/automations/{name}/disable",
    summary="Disable an automation",
    responses=documents.answers(404, 409, 503, 507, good={"name": "sales-by-nine", "enabled": False}),
)
async def disable_automation(request: Request, name: str) -> Response:
    """Stop the automation from firing; it keeps its revision."""
    await _or_404(default_plane_of(request).automations.disable(name), name)
    return answer({"name": name, "enabled": False})


@routes.delete(
    "/api/automations/{name}",
    status_code=204,
    summary="Delete an automation",
    responses=documents.answers(404, 409, 503, 507),
)
async def delete_automation(request: Request, name: str) -> Response:
    """Delete the automation. Its firings stay."""
    await _or_404(default_plane_of(request).automations.delete(name), name)
    return Response(status_code=204)


async def read_text(request: Request, plane: Plane) -> str:
    """Read the file's text."""
    kind, _ = bodies.media_type(request)
    if kind not in _YAML and kind != "application/json":
        bodies.unsupported(request, ACCEPTED_TYPES)
    bodies.check_charset(request, ACCEPTED_TYPES)
    body = await bodies.join(bodies.pieces(request, plane.http, plane.http.max_document_bytes))
    if kind == "application/json":
        try:
            data = bodies.decode_json(body)
        except bodies.NotJson as error:
            raise ApiProblem(400, "malformed-json", f"The body is not valid JSON: {error}.") from error
        if b"\t" in body or b"\\u" in body:  # the two things in which JSON is not YAML
            return orjson.dumps(data, option=orjson.OPT_INDENT_2).decode()
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise ApiProblem(400, "malformed-text", f"The body is not UTF-8: byte {error.start}.") from error


def parse(text: str) -> tuple[Automation, ...]:
    """Read a file as `airside automations lint` does; its warnings do not stand in the way."""
    mistakes = [finding for finding in linting.findings("", text) if finding.level == "error"]
    if not mistakes:
        return document.parse_file(text).automations
    problems = [
        {
            "field": mistake.path,
            "message": mistake.message,
            "line": mistake.line,
            "column": mistake.column,
            "path": mistake.path,
        }
        for mistake in mistakes
    ]
    count = len(problems)
    detail = f"The file has {count} mistake{'s' if count > 1 else ''}; nothing is applied."
    raise ApiProblem(422, "invalid-automations", detail, problems=problems)


async def _blocks(plane: Plane, found: Sequence[Automation], workspace: str) -> dict[str, str] | None:
    """Give the names and types of the blocks there are; None when nobody asks for one, or they cannot be read."""
    if not any(names_blocks(automation.to_document()) for automation in found):
        return None
    try:
        return {block.name: block.type for block in await plane.blocks.store.all(workspace)}
    except BlocksUnavailable:
        return None  # what was applied is applied; whoever fires asks again


async def _would_change(plane: Plane, automation: Automation, workspace: str) -> dict[str, Any]:
    """Compare with what the views hold, which may lag a moment behind the log."""
    present = await plane.run_read(reads.get_automation, workspace, automation.name)
    if present is None or present["deleted"]:
        return {"name": automation.name, "revision": None, "change": "created"}
    same = present["document"] == redaction.document(automation.to_document())
    return {
        "name": automation.name,
        "revision": present["revision"],
        "change": "unchanged" if same else "updated",
    }


async def _existing(request: Request, name: str) -> dict[str, Any]:
    workspace = principal_of(request).workspace
    found = await plane_of(request).run_read(reads.get_automation, workspace, name)
    if found is None or found["deleted"]:
        raise _unknown(name)
    return found


def _held_back(held: Mapping[str, Mapping[str, int]], name: str) -> dict[str, int]:
    return {"keys_refused": 0, "keys_dropped": 0, "loops_stopped": 0, **held.get(name, {})}


async def _or_404(change: Awaitable[object], name: str) -> None:
    try:
        await change
    except NotFound as error:
        raise _unknown(name) from error


def _unknown(name: str) -> ApiProblem:
    return not_found(f"There is no automation `{name[:100]}`.")
