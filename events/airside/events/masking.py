"""Secrets taken out of what tools hand on: values under telling keys, and passwords inside URLs.

This guesses by names. It keeps accidents off the log; who writes a secret under an innocent key still publishes it.
"""

import re
from typing import Any, Final

MASK: Final = "***"

_TELLING = re.compile(
    r"pass(word|wd|phrase)|\bpwd\b|_pwd|secret|token|credential|api_?key|(access|private|account|encryption)_?key"
    r"|authorization|^auth$|cookie|session_?id|signature|conn(ection)?_?(str|string|uri|url)|\bdsn\b|_dsn|\bsas\b"
)
#: A token of Airside's own, as `airside tokens create` prints it.
_TOKEN = re.compile(r"ast_[0-9a-f]{16}_[0-9a-f]{64}")
_IN_URL = re.compile(r"(?<=://)[^/\s@'\"]+@")


def masked(value: Any) -> Any:
    """Copy decoded JSON with `***` for what looks like a secret. It recurses: check the depth first."""
    if isinstance(value, dict):
        return {key: MASK if inner and is_telling(str(key)) else masked(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item) for item in value]
    return text(value) if isinstance(value, str) else value


def text(value: str) -> str:
    """Take user and password out of the URLs in a text."""
    return _IN_URL.sub(f"{MASK}@", value) if "://" in value else value


def tokens(value: str) -> str:
    """Take Airside's own tokens out of a text."""
    return _TOKEN.sub(f"ast_{MASK}", value) if "ast_" in value else value


def is_telling(key: str) -> bool:
    """Tell whether a value under this key is likely a secret: `db_password`, `apiKey`, `Authorization`."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower().replace("-", "_").replace(" ", "_")
    return _TELLING.search(snake) is not None
