"""What can go wrong between a client and the server.

- AirsideError
    - SettingsError         the settings cannot be read
    - ClientError           a request did not do what was asked
        - CannotReach       the server does not answer; nothing is known about the request
        - Unauthorised      the server wants another token, or a token with another role
        - NotFound          there is nothing of that name
        - Refused           the sender's fault: `problems` names each field
        - ServerFailed      the server's fault: try again, or look into its log
"""

from typing import Any

from airside.events.exceptions import AirsideError


class SettingsError(AirsideError):
    """The settings cannot be read; the message names the variable or the file."""


class ClientError(AirsideError):
    """A request to the server did not do what was asked.

    `status` is the HTTP status, 0 when there was no answer. `problems` are dicts with at least `message`, and with
    `field`, or for automations `line`, `column` and `path`, where the server named the place.
    """

    def __init__(self, message: str, *, status: int = 0, problems: list[dict[str, Any]] | None = None) -> None:
        self.status = status
        self.problems = problems or []
        super().__init__(message)


class CannotReach(ClientError):
    """The server does not answer. Start one with `airside up`, or set AIRSIDE_URL."""


class Unauthorised(ClientError):
    """The server does not accept the token. Set AIRSIDE_TOKEN."""


class NotFound(ClientError):
    """There is nothing of that name."""


class Refused(ClientError):
    """The server refuses the request."""


class ServerFailed(ClientError):
    """The server could not do it now."""
