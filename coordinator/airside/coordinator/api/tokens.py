"""Who may use the API: making, listing and revoking tokens."""

from datetime import UTC, datetime
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from airside.coordinator.api import documents, examples
from airside.coordinator.api.gate import tokens_unavailable
from airside.coordinator.api.paging import answer
from airside.coordinator.api.problems import invalid, not_found
from airside.coordinator.api.routing import plane_of, principal_of, router
from airside.coordinator.tokens import Token, TokensUnavailable
from airside.events.exceptions import Problem

routes = router("tokens")


@routes.get("/api/tokens", summary="List tokens", responses=documents.answers(503, good=examples.page(examples.TOKEN)))
async def list_tokens(request: Request) -> Response:
    """Give all tokens of the caller's workspace, oldest first. Secrets are not kept, so nobody can read them."""
    workspace = principal_of(request).workspace
    items = [_shown(token) for token in await plane_of(request).tokens.all() if token.workspace == workspace]
    return answer({"items": items, "next": None})


@routes.post(
    "/api/tokens",
    status_code=201,
    summary="Make a token",
    responses=documents.answers(422, 503, good={**examples.TOKEN, "token": "ast_9f2c41d07be3a655_…"}, status=201),
)
async def create_token(request: Request, wanted: documents.NewToken) -> Response:
    """Make a token. Its text is in this answer and nowhere else, ever."""
    if wanted.expires is not None:
        if wanted.expires.tzinfo is None:
            raise invalid("invalid-request", "The token is refused.", [Problem("expires", "must say its time zone")])
        if wanted.expires <= datetime.now(UTC):
            raise invalid("invalid-request", "The token is refused.", [Problem("expires", "lies in the past")])
    expires = wanted.expires and wanted.expires.astimezone(UTC)
    try:
        token, text = await plane_of(request).tokens.create(
            wanted.name, wanted.role, expires=expires, workspace=principal_of(request).workspace
        )
    except TokensUnavailable as error:
        raise tokens_unavailable(error) from error
    return answer({**_shown(token), "token": text}, 201)


@routes.delete(
    "/api/tokens/{token_id}", status_code=204, summary="Revoke a token", responses=documents.answers(404, 503)
)
async def revoke_token(request: Request, token_id: str) -> Response:
    """Take a token back, at once and for good. Streams that it opened end within a minute."""
    tokens = plane_of(request).tokens
    workspace = principal_of(request).workspace
    known = any(token.id == token_id and token.workspace == workspace for token in await tokens.all())
    try:
        if not known or not await tokens.revoke(token_id):
            raise not_found("There is no token of this id: `airside tokens ls` shows ids.")
    except TokensUnavailable as error:
        raise tokens_unavailable(error) from error
    return Response(status_code=204)


def _shown(token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "role": token.role.value,
        "created": _time(token.created),
        "expires": _time(token.expires),
        "workspace": token.workspace,
    }


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None
