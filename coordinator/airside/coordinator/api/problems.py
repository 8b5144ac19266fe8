"""Errors as the API tells them: RFC 9457 problem documents, for whatever goes wrong on whatever path."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from airside.coordinator.id_coverage import IdsNotKnownYet
from airside.coordinator.views.exceptions import ViewsError
from airside.events.exceptions import Conflict, InvalidEvent, LogDamaged, LogFull, LogRefused, LogUnavailable, Problem

MEDIA_TYPE: Final = "application/problem+json"
#: Seconds a client should wait before it sends again what the log could not take.
RETRY_AFTER_SECONDS: Final = 2
#: More problems than these are counted, not listed.
MAX_LISTED: Final = 100
_log = logging.getLogger("airside.api")


class ApiProblem(Exception):
    """A request is answered with a problem document.

    `slug` tells programs what happened (`urn:airside:problem:<slug>`), `detail` tells people what to do. `problems`
    name what is wrong field by field; `extra` are further members of the document.
    """

    def __init__(
        self,
        status: int,
        slug: str,
        detail: str,
        *,
        problems: Sequence[Problem | Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self.status = status
        self.slug = slug
        self.detail = detail
        self.problems = list(problems)
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})
        super().__init__(detail)


def not_found(what: str) -> ApiProblem:
    """Make the answer for something that is not there."""
    return ApiProblem(404, "not-found", what)


def invalid(slug: str, detail: str, problems: Iterable[Problem]) -> ApiProblem:
    """Make the answer for input that is refused field by field."""
    return ApiProblem(422, slug, detail, problems=list(problems))


def from_log_error(error: LogUnavailable | LogFull | LogDamaged | LogRefused) -> ApiProblem:
    """Say what a failure of the log means for a client: try again, make room, or call somebody."""
    if isinstance(error, LogRefused):
        return ApiProblem(413, "event-refused", f"{error}")
    if isinstance(error, LogFull):
        return ApiProblem(507, "log-full", str(error))
    if isinstance(error, LogDamaged):
        return ApiProblem(503, "log-damaged", str(error))
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    if isinstance(error, IdsNotKnownYet):
        return ApiProblem(503, "ids-not-known-yet", str(error), headers=headers)
    return ApiProblem(503, "log-unavailable", f"{LogUnavailable.__doc__}", headers=headers)


def render(problem: ApiProblem, instance: str | None = None) -> Response:
    """Write the problem document."""
    document: dict[str, Any] = {
        "type": f"urn:airside:problem:{problem.slug}",
        "title": _title(problem),
        "status": problem.status,
        "detail": problem.detail,
    }
    if instance:
        document["instance"] = instance
    if problem.problems:
        document["problems"] = [_listed(entry) for entry in problem.problems[:MAX_LISTED]]
        if len(problem.problems) > MAX_LISTED:
            document["more_problems"] = len(problem.problems) - MAX_LISTED
    document.update(problem.extra)
    return Response(orjson.dumps(document), status_code=problem.status, headers=problem.headers, media_type=MEDIA_TYPE)


def _title(problem: ApiProblem) -> str:
    words = problem.slug.replace("-", " ")
    return words[:1].upper() + words[1:]


def _listed(entry: Problem | Mapping[str, Any]) -> Mapping[str, Any]:
    return {"field": entry.field, "message": entry.message} if isinstance(entry, Problem) else entry


def unexpected(path: str) -> Response:
    """Answer for a fault of our own: what happened stays in the server's log. Call it while handling the exception."""
    logged = "/hooks/…" if path.startswith("/hooks/") else path  # a hook's address is half a secret
    _log.exception("a request failed", extra={"action": "http.failed", "path": logged})
    detail = "Airside failed here; the reason is in the coordinator's log. Nothing is half done: you may try again."
    return render(ApiProblem(500, "unexpected", detail), path)


def install(app: FastAPI) -> None:
    """Make the app answer every error with a problem document."""
    kinds = (ApiProblem, InvalidEvent, ViewsError, Conflict, LogRefused, LogUnavailable, LogFull, LogDamaged)
    for kind in (*kinds, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, _answer)


async def _answer(request: Request, error: Exception) -> Response:
    problem = _translated(error)
    if problem.status == HTTPStatus.METHOD_NOT_ALLOWED:
        problem.headers["Allow"] = ", ".join(_allowed(request))
    return render(problem, request.url.path)


def _allowed(request: Request) -> list[str]:
    """Give the methods that this path does answer to: each has a route of its own."""
    routes = [route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in routes for method in route.methods})


def _translated(error: Exception) -> ApiProblem:
    if isinstance(error, ApiProblem):
        return error
    if isinstance(error, InvalidEvent):
        return invalid("invalid-event", "The event is refused.", error.problems)
    if isinstance(error, LogUnavailable | LogFull | LogDamaged | LogRefused):
        return from_log_error(error)
    if isinstance(error, ViewsError):
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        return ApiProblem(503, "views-unavailable", str(error), headers=headers)
    if isinstance(error, Conflict):
        return ApiProblem(409, "conflict", str(error))
    if isinstance(error, RequestValidationError):
        return _from_validation(error.errors())
    if isinstance(error, HTTPException):
        return _from_http(error)
    raise error


def _from_http(error: HTTPException) -> ApiProblem:
    """Translate what the framework itself refuses: unknown paths, wrong methods."""
    phrase = HTTPStatus(error.status_code).phrase
    details = {
        404: "Nothing answers at this path; /docs lists what does.",
        405: "This path answers, but not to this method; `Allow` lists those it does.",
    }
    detail = details.get(error.status_code, str(error.detail or phrase))
    slug = phrase.lower().replace(" ", "-")
    return ApiProblem(error.status_code, slug, detail, headers=error.headers or {})


def _from_validation(errors: Sequence[Mapping[str, Any]]) -> ApiProblem:
    problems = [_request_problem(entry) for entry in errors]
    if any(entry["type"] == "json_invalid" for entry in errors):
        return ApiProblem(400, "malformed-json", problems[0].message)
    return invalid("invalid-request", "The request is refused.", problems)


def _request_problem(entry: Mapping[str, Any]) -> Problem:
    place, *path = [str(part) for part in entry["loc"]] or [""]
    field = ".".join(path) or place
    message = str(entry["msg"]).removeprefix("Value error, ")
    if entry["type"] == "extra_forbidden":
        message = "unknown parameter" if place == "query" else "unknown field"
    if entry["loc"] == ("body",) and entry["type"] != "missing":
        message = "must be a JSON object, sent with Content-Type: application/json"
    if entry["type"] == "json_invalid":
        message = f"The body is not valid JSON: {entry.get('ctx', {}).get('error', message)}"
    return Problem(field, message)
