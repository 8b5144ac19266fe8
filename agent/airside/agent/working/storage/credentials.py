"""Secrets that a deployment only names: read when they are needed, never written, and kept out of what is said.

`env:NAME` is a variable of this machine's agent, `block:NAME` or `block:NAME.FIELD` a block of the server, which the
agent's own token opens.
"""

import asyncio
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from airside.agent.working.exceptions import CannotPrepare
from airside.events import blocks, references

_FROM_VARIABLE: Final = "env:"
#: The type of a block that is a text and nothing else.
_TEXT: Final = "secret"
#: Shorter texts are in everything that is said: hiding them would hide nothing and garble all.
_SHORTEST: Final = 4
HIDDEN: Final = "***"
#: So often a server that does not answer is asked for a block, with longer and longer pauses: half a minute together.
_TRIES: Final = 6
_FIRST_PAUSE_SECONDS: Final = 1.0
#: In a connection string of Azure.
_AZURE_KEYS: Final = re.compile(r"(?:^|;)\s*(?:AccountKey|SharedAccessSignature)=([^;]*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Login:
    """What a storage logs in with: a text, or the fields of a block of a type that is made for it."""

    text: str = field(default="", repr=False)
    type: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict, repr=False)
    #: What must not be shown: the whole, and what it is made of.
    secrets: frozenset[str] = field(default=frozenset(), repr=False)

    def check(self, kind: str, storage: str) -> None:
        """Refuse a block that is not of this type. Raises CannotPrepare."""
        if self.type not in ("", kind):
            raise CannotPrepare(f"storage {storage}: the block must be of type {kind} or secret; it is {self.type}")


NOTHING: Final = Login()


async def resolve(name: str, storage: str, plane: Mapping[str, str]) -> Login:
    """Read what `env:NAME` or `block:NAME` names; NOTHING when nothing is named. Raises CannotPrepare.

    `plane` are the variables by which a run finds the server.
    """
    if not name:
        return NOTHING
    if name.startswith(_FROM_VARIABLE):
        return _text(_variable(name.removeprefix(_FROM_VARIABLE), storage))
    if (wanted := references.reference(name)) is not None:
        return await _block(wanted, storage, plane)
    raise CannotPrepare(
        f"storage {storage}: credentials must be block:NAME, of the server, or env:NAME, a variable of the agent"
    )


def secrets_of(settings: Mapping[str, Any]) -> frozenset[str]:
    """Give the texts that must not be shown of credentials that are in a variable; blocks are not known yet."""
    name = settings.get("credentials")
    if not isinstance(name, str) or not name.startswith(_FROM_VARIABLE):
        return frozenset()
    return _text(os.environ.get(name.removeprefix(_FROM_VARIABLE), "")).secrets


def hide(text: str, secrets: Iterable[str]) -> str:
    """Write *** for each secret, the longest first."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def _variable(variable: str, storage: str) -> str:
    secret = os.environ.get(variable, "")
    if not secret:
        raise CannotPrepare(f"storage {storage}: the agent has no variable {variable}")
    return secret


def _text(secret: str) -> Login:
    return Login(secret, secrets=_long_enough((secret, *_parts(secret))))


async def _block(wanted: references.Reference, storage: str, plane: Mapping[str, str]) -> Login:
    found = await _loaded(wanted.name, storage, plane)
    fields = {name: _opened(value) for name, value in found.items()}
    secret = blocks.texts_of(fields[name] for name, value in found.items() if value != fields[name])
    secrets = _long_enough(part for text in secret for part in (text, *_parts(text), *text.splitlines()))
    if not wanted.field and found.type != _TEXT:
        return Login(type=found.type, fields=fields, secrets=secrets)
    text = fields.get(wanted.field or "value")
    if not isinstance(text, str):
        raise CannotPrepare(f"storage {storage}: {wanted}: the block has no such field that is a text")
    return Login(text, secrets=secrets)


async def _loaded(name: str, storage: str, plane: Mapping[str, str]) -> Any:
    """Ask the server, patiently while it is away. Raises CannotPrepare, without any value in it."""
    from airside.sdk.blocks import Block  # noqa: PLC0415 - most deployments name no block
    from airside.sdk.exceptions import CannotReach, ClientError, NotFound, ServerFailed, Unauthorised  # noqa: PLC0415
    from airside.sdk.settings import ClientSettings  # noqa: PLC0415

    if not (url := plane.get("AIRSIDE_URL", "")).startswith(("http://", "https://")):
        raise CannotPrepare(
            f"storage {storage}: the block `{name}` is on a server: set AIRSIDE_URL to where it answers"
        )
    settings = ClientSettings(url=url, token=plane.get("AIRSIDE_TOKEN"))
    pause = _FIRST_PAUSE_SECONDS
    for left in reversed(range(_TRIES)):
        try:
            return await Block.aload(name, settings=settings)
        except NotFound:
            raise CannotPrepare(
                f"storage {storage}: the server has no block `{name}`: `airside blocks set {name}` makes it"
            ) from None
        except Unauthorised as error:
            raise CannotPrepare(
                f"storage {storage}: the block `{name}` is not opened for this agent: {error}"
            ) from None
        except (CannotReach, ServerFailed) as error:
            if not left:
                raise CannotPrepare(f"storage {storage}: the block `{name}` cannot be read now: {error}") from None
        except ClientError as error:
            raise CannotPrepare(f"storage {storage}: {error}") from None
        await asyncio.sleep(pause)
        pause *= 2
    raise AssertionError("the last try returns or raises")


def _opened(value: Any) -> Any:
    from airside.sdk.blocks import Secret  # noqa: PLC0415

    if isinstance(value, Mapping):
        return {name: _opened(inner) for name, inner in value.items()}
    return value.get() if isinstance(value, Secret) else value


def _long_enough(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(text for text in texts if len(text) >= _SHORTEST)


def _parts(secret: str) -> list[str]:
    """Give the texts inside: the password of `user:password`, keys of a connection string, values of a JSON object."""
    try:
        found = json.loads(secret)
    except ValueError:
        keys = _AZURE_KEYS.findall(secret)
        return keys or secret.split(":")[1:]
    values = [value for value in found.values() if isinstance(value, str)] if isinstance(found, dict) else []
    return values + [key for value in values for key in _AZURE_KEYS.findall(value)]
