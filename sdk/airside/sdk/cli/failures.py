"""How a command says that it could not: on stderr, with the way out, never with a traceback."""

import os
import sys
from typing import Any, Final, NoReturn

FAILED: Final = 1  # it worked, and the answer is no: refused, not found, problems found
CANNOT: Final = 2  # wrong usage, or the thing could not be tried

_SERVER_HINT: Final = "start one with `airside up`, or set AIRSIDE_URL to where one answers"

_CERTIFICATE_HINT: Final = (
    "set SSL_CERT_FILE to the CA (PEM) that signed its certificate, or to that certificate itself"
)


class Failure(Exception):
    """Ends the command with a message, a hint at the way out, and an exit code."""

    def __init__(self, message: str, *, hint: str = "", code: int = CANNOT, details: list[str] | None = None) -> None:
        self.hint = hint
        self.code = code
        self.details = details or []
        super().__init__(message)


def fail(error: Exception) -> NoReturn:
    """Print what went wrong and exit."""
    if os.environ.get("AIRSIDE_DEBUG"):
        raise error
    failure = error if isinstance(error, Failure) else _translate(error)
    lines = [f"error: {failure}", *(f"  {detail}" for detail in failure.details)]
    if failure.hint:
        lines.append(f"  {failure.hint}")
    for line in lines:
        print(line, file=sys.stderr)  # noqa: T201
    sys.exit(failure.code)


def _translate(error: Exception) -> Failure:
    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("airside"):
        return Failure(
            f"this needs the server's parts, and {error.name} is not installed",
            hint="pip install 'airside[server]'",
        )
    if isinstance(error, OSError) and not isinstance(error, ConnectionError):
        named = f"{error.filename}: " if error.filename else ""
        return Failure(f"{named}{error.strerror or error}")
    from airside.events.exceptions import AirsideError
    from airside.sdk.exceptions import CannotReach, ClientError, NotFound, Refused, ServerFailed, Unauthorised

    if isinstance(error, ClientError):
        hints = {
            CannotReach: _SERVER_HINT,
            Unauthorised: "set AIRSIDE_TOKEN; `airside tokens create` makes one",
            ServerFailed: "`airside doctor` looks for the cause",
        }
        if isinstance(error, CannotReach) and "CERTIFICATE_VERIFY_FAILED" in str(error):
            hints[CannotReach] = _CERTIFICATE_HINT
        code = FAILED if isinstance(error, Refused | NotFound) else CANNOT
        return Failure(str(error), hint=hints.get(type(error), ""), code=code, details=_details(error.problems))
    if isinstance(error, AirsideError):
        return Failure(str(error))
    return Failure(
        f"unexpected {type(error).__name__}: {error}",
        hint="set AIRSIDE_DEBUG=1 to see where it happened",
    )


def _details(problems: list[dict[str, Any]]) -> list[str]:
    return [place_and_message(problem) for problem in problems]


def place_and_message(problem: dict[str, Any], file: str = "") -> str:
    """Write one problem as `file:line:column: path: message`, as far as the place is known."""
    place = [str(part) for part in (file, problem.get("line"), problem.get("column")) if part not in (None, "")]
    names = [str(problem[name]) for name in ("field", "path") if problem.get(name)]
    return ": ".join([*([":".join(place)] if place else []), *names[:1], str(problem.get("message", ""))])
