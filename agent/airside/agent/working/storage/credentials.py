"""Secrets that the agent has and a deployment only names: read when they are needed, and kept out of what is said."""

import json
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from airside.agent.working.exceptions import CannotPrepare

_FROM_VARIABLE: Final = "env:"
#: Shorter texts are in everything that is said: hiding them would hide nothing and garble all.
_SHORTEST: Final = 4
HIDDEN: Final = "***"
#: In a connection string of Azure.
_AZURE_KEYS: Final = re.compile(r"(?:^|;)\s*(?:AccountKey|SharedAccessSignature)=([^;]*)", re.IGNORECASE)


def read(name: str, storage: str) -> str:
    """Give the secret that `env:NAME` names; '' when nothing is named. Raises CannotPrepare."""
    if not name:
        return ""
    if not name.startswith(_FROM_VARIABLE):
        raise CannotPrepare(f"storage {storage}: credentials must be env:NAME, a variable of the agent")
    variable = name.removeprefix(_FROM_VARIABLE)
    secret = os.environ.get(variable, "")
    if not secret:
        raise CannotPrepare(f"storage {storage}: the agent has no variable {variable}")
    return secret


def secrets_of(settings: Mapping[str, Any]) -> frozenset[str]:
    """Give the texts that must not be shown of a storage's credentials: the whole, and what it is made of."""
    name = settings.get("credentials")
    if not isinstance(name, str) or not name.startswith(_FROM_VARIABLE):
        return frozenset()
    secret = os.environ.get(name.removeprefix(_FROM_VARIABLE), "")
    return frozenset(text for text in (secret, *_parts(secret)) if len(text) >= _SHORTEST)


def hide(text: str, secrets: Iterable[str]) -> str:
    """Write *** for each secret, the longest first."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def _parts(secret: str) -> list[str]:
    """Give the texts inside: the password of `user:password`, keys of a connection string, values of a JSON object."""
    try:
        found = json.loads(secret)
    except ValueError:
        keys = _AZURE_KEYS.findall(secret)
        return keys or secret.split(":")[1:]
    values = [value for value in found.values() if isinstance(value, str)] if isinstance(found, dict) else []
    return values + [key for value in values for key in _AZURE_KEYS.findall(value)]
