"""Webhooks in: making hooks, and what comes to them."""

import asyncio
import logging
import time
from base64 import b64decode
from binascii import Error as Base64Error
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import Request
from fastapi.responses import Response

from airside.coordinator.api import bodies, documents, examples, problems
from airside.coordinator.api.hook_documents import HookTest, NewHook
from airside.coordinator.api.ingest import accepted
from airside.coordinator.api.intake import Intake, take
from airside.coordinator.api.paging import answer
from airside.coordinator.api.problems import ApiProblem, invalid, not_found
from airside.coordinator.api.routing import plane_of, principal_of, router
from airside.coordinator.hooks import book, mapping, presets, receive, template
from airside.coordinator.hooks.book import Counts, HookExists, HooksUnavailable, StoredHook
from airside.coordinator.hooks.reading import Unmapped
from airside.coordinator.hooks.signatures import BadSecret, Delivery, Forged, check_secret
from airside.coordinator.hooks.template import InvalidTemplate
from airside.coordinator.tokens import LOCAL
from airside.events.exceptions import Problem
from airside.events.model import is_workspace
from airside.events.wire import Record, to_dict

routes = router("hooks")
#: Larger bodies are worked on beside the event loop, so that others are served meanwhile.
_SMALL_BYTES: Final = 32_768
_SECONDS_BETWEEN_REPORTS: Final = 60.0
_log = logging.getLogger("airside.hooks")


@routes.get("/api/hooks", summary="List hooks", responses=documents.answers(503, good=examples.page(examples.HOOK)))
async def list_hooks(request: Request) -> Response:
    """Give the hooks of the caller's workspace by name, with what came to each. Secrets are never given."""
    hooks = plane_of(request).hooks
    try:
        items = [_shown(hook, await hooks.counts(hook)) for hook in hooks.all(principal_of(request).workspace)]
    except HooksUnavailable as error:
        raise _unavailable(error) from error
    return answer({"items": items, "next": None})


@routes.post(
    "/api/hooks",
    status_code=201,
    summary="Make a hook",
    responses=documents.answers(409, 422, 503, good={**examples.HOOK, "secret": "1f0c…"}, status=201),
)
async def create_hook(request: Request, wanted: NewHook) -> Response:
    """Make a hook: an address that nobody can guess, and a secret, which is in this answer and in no other."""
    workspace = _workspace(request, wanted)
    made = _made(wanted, workspace)
    try:
        await plane_of(request).hooks.create(made)
    except HookExists as error:
        raise ApiProblem(409, "hook-exists", str(error)) from error
    except HooksUnavailable as error:
        raise _unavailable(error) from error
    return answer({**_shown(made, Counts()), "secret": made.secret or None}, 201)


@routes.get("/api/hooks/{name}", summary="Show a hook", responses=documents.answers(404, 503, good=examples.HOOK))
async def show_hook(request: Request, name: str) -> Response:
    """Give a hook with its template, without its secret."""
    hook = _named(request, name)
    try:
        counts = await plane_of(request).hooks.counts(hook)
    except HooksUnavailable as error:
        raise _unavailable(error) from error
    text = presets.text(hook.preset) if hook.preset in presets.names() else hook.template
    return answer({**_shown(hook, counts), "template": text})


@routes.delete("/api/hooks/{name}", status_code=204, summary="Remove a hook", responses=documents.answers(404, 503))
async def remove_hook(request: Request, name: str) -> Response:
    """Remove a hook: from now on its address answers 404. The events that came through it stay."""
    hook = _named(request, name)
    try:
        if not await plane_of(request).hooks.delete(hook.workspace, hook.name):
            raise not_found("There is no such hook.")
    except HooksUnavailable as error:
        raise _unavailable(error) from error
    return Response(status_code=204)


@routes.post(
    "/api/hooks/{name}/test",
    summary="Show what a body would become",
    responses=documents.answers(404, 422, good=examples.HOOK_TEST),
)
async def test_hook(request: Request, name: str, wanted: HookTest) -> Response:
    """Map a saved body as a delivery would be, without a signature; nothing is put on the log."""
    hook = _named(request, name)
    try:
        body = b64decode(wanted.body_base64, validate=True)
    except (Base64Error, ValueError) as error:
        raise invalid("invalid-request", "The request is refused.", [Problem("body_base64", "not base64")]) from error
    headers = {key.lower(): value for key, value in wanted.headers.items()}
    delivery = Delivery(headers, wanted.query, body, datetime.now(UTC))
    try:
        found = mapping.run(hook.mapping(), delivery, delivery.sha256, hook.owner, plane_of(request).limits)
    except Unmapped as error:
        raise invalid("hook-unmapped", "The delivery fits the hook's template nowhere.", error.problems) from error
    except (InvalidTemplate, KeyError) as error:
        raise ApiProblem(422, "hook-template", "This version cannot read the hook's template; make it anew.") from error
    items = [to_dict(Record(0, 0, "", event)) for event in found]
    return answer({"items": [{k: v for k, v in item.items() if k not in ("position", "received")} for item in items]})


@routes.post(
    "/hooks/{slug}",
    status_code=202,
    summary="Deliver a webhook",
    response_model=documents.Accepted,
    openapi_extra=examples.POST_HOOK,
    responses=documents.answers(400, 404, 408, 413, 415, 422, 503, 507),
)
async def deliver(request: Request, slug: str) -> Response:
    """Take a delivery from whoever has the hook's secret: the signature is the authentication, no token is wanted.

    Answers once its events are on disk; a repeat answers the same and counts once. 401: the signature does not match,
    or its time is more than five minutes off. 422: the template does not fit; the delivery is kept as `hook.unmapped`.
    """
    plane = plane_of(request)
    body = await bodies.join(bodies.pieces(request, plane.http, plane.http.max_hook_bytes))
    delivery = Delivery(dict(request.headers), dict(request.query_params), body, datetime.now(UTC))
    hook = plane.hooks.find(slug)
    try:
        if len(body) <= _SMALL_BYTES:
            outcome = receive.receive(hook, delivery, plane.limits)
        else:
            outcome = await asyncio.to_thread(receive.receive, hook, delivery, plane.limits)
    except Forged as error:
        plane.metrics.hook_deliveries.labels("refused").inc()
        if hook is not None:
            plane.hooks.count(hook, Counts(refused=1))
            _report(hook, str(error))
        headers = {"WWW-Authenticate": 'Signature realm="airside"'}
        end = "" if str(error).endswith("?") else "."
        detail = f"The delivery is refused: {error}{end}"
        raise ApiProblem(401, "bad-signature", detail, headers=headers) from error
    if hook is None or outcome is None:
        plane.metrics.hook_deliveries.labels("unknown").inc()
        raise not_found("There is no such hook.")
    return await _take(request, hook, outcome, delivery.received)


async def _take(request: Request, hook: StoredHook, outcome: receive.Outcome, received: datetime) -> Response:
    """Put the events of a delivery on the log, count it, and answer."""
    plane = plane_of(request)
    if outcome.challenge is not None:
        return answer({"challenge": outcome.challenge})
    if not outcome.events:
        plane.metrics.hook_deliveries.labels("ignored").inc()
        plane.hooks.count(hook, Counts(ignored=1, last=received))
        return accepted({"accepted": 0, "duplicates": 0, "first": None, "last": None})
    intake = Intake(plane, hook.workspace)
    result = await take(intake, outcome.events)
    if outcome.problems:
        plane.metrics.hook_deliveries.labels("unmapped").inc()
        plane.hooks.count(hook, Counts(unmapped=1, last=received))
        plane.metrics.events_refused.labels("hook-unmapped").inc()
        raise _unmapped(outcome)
    word = "accepted" if result["accepted"] else "duplicate"
    plane.metrics.hook_deliveries.labels(word).inc()
    counted = Counts(accepted=1, last=received) if result["accepted"] else Counts(duplicates=1, last=received)
    plane.hooks.count(hook, counted)
    return accepted(result)


def _unmapped(outcome: receive.Outcome) -> ApiProblem:
    detail = (
        f"The delivery is genuine, but it does not fit the hook's template; it is kept as the event"
        f" `{mapping.UNMAPPED}`. Correct the template, then let the sender deliver it again."
    )
    return ApiProblem(422, "hook-unmapped", detail, problems=outcome.problems, extra={"kept": outcome.events[0].id})


def _made(wanted: NewHook, workspace: str) -> StoredHook:
    """Make the hook that is wanted. Raises ApiProblem naming what is wrong."""
    found: list[Problem] = []
    checked = None
    if not book.is_name(wanted.name):
        found.append(Problem("name", book.NAME_RULE))
    if bool(wanted.preset) == bool(wanted.template):
        found.append(Problem("preset", "give either a preset or a template"))
    elif wanted.preset and wanted.preset not in presets.names():
        found.append(Problem("preset", f"must be one of {', '.join(presets.names())}"))
    else:
        try:
            checked = presets.load(wanted.preset) if wanted.preset else template.parse(wanted.template)
        except InvalidTemplate as error:
            found += [Problem("template", f"{p.line}:{p.column}: {p.message}") for p in error.problems]
    signature = wanted.signature or (checked.signature if checked else "")
    if not signature and checked:
        found.append(Problem("signature", "is missing: say how the sender signs, or `none`"))
    secret = wanted.secret.get_secret_value() if wanted.secret else ""
    if secret and signature:
        try:
            check_secret(signature, secret)
        except BadSecret as error:
            found.append(Problem("secret", str(error)))
    if wanted.header and signature not in ("token", "hmac"):
        found.append(Problem("header", "is for the signatures `token` and `hmac` alone"))
    if found:
        raise invalid("invalid-hook", "The hook is refused.", found)
    return book.make(
        wanted.name,
        signature,
        secret=secret,
        preset=wanted.preset,
        text=wanted.template,
        header=wanted.header,
        workspace=workspace,
    )


def _workspace(request: Request, wanted: NewHook) -> str:
    """Give the workspace that the hook is for. Whoever sits at this machine chooses; a token has its own."""
    principal = principal_of(request)
    workspace = wanted.workspace or principal.workspace
    if not is_workspace(workspace):
        raise invalid("invalid-hook", "The hook is refused.", [Problem("workspace", "is no name of a workspace")])
    if principal != LOCAL and workspace != principal.workspace:
        raise ApiProblem(403, "forbidden", f"This token makes hooks for the workspace `{principal.workspace}` alone.")
    return workspace


def _named(request: Request, name: str) -> StoredHook:
    workspace = principal_of(request).workspace
    for hook in plane_of(request).hooks.all(workspace):
        if hook.name == name:
            return hook
    raise not_found(f"There is no hook `{name[:80]}`.")


def _unavailable(error: HooksUnavailable) -> ApiProblem:
    headers = {"Retry-After": str(problems.RETRY_AFTER_SECONDS)}
    return ApiProblem(503, "hooks-unavailable", str(error), headers=headers)


def _shown(hook: StoredHook, counts: Counts) -> dict[str, Any]:
    return {
        "name": hook.name,
        "path": f"/hooks/{hook.slug}",
        "preset": hook.preset or None,
        "signature": hook.signature,
        "header": hook.header or None,
        "created": _time(hook.created),
        "workspace": hook.workspace,
        "last_received": _time(counts.last),
        "counts": {
            "accepted": counts.accepted,
            "duplicates": counts.duplicates,
            "ignored": counts.ignored,
            "unmapped": counts.unmapped,
            "refused": counts.refused,
        },
    }


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None


_reported: dict[str, tuple[float, int]] = {}


def _report(hook: StoredHook, reason: str) -> None:
    """Log a refused delivery, at most once a minute for each hook, with how many there were since."""
    now = time.monotonic()
    last, silent = _reported.get(hook.slug, (float("-inf"), 0))
    if now - last < _SECONDS_BETWEEN_REPORTS:
        _reported[hook.slug] = (last, silent + 1)
        return
    _reported[hook.slug] = (now, 0)
    more = f" ({silent:,} more since the last report)" if silent else ""
    _log.warning("the hook %s refused a delivery: %s%s", hook.name, reason, more, extra={"action": "hooks.refused"})
