"""Blocks in programs: `Block.load("warehouse-git")["token"].get()`.

In a run of an agent the agent's token opens them; elsewhere the token of AIRSIDE_TOKEN, which must be an admin's.
"""

import hmac
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn, Self

from airside.sdk import hidden

if TYPE_CHECKING:
    from airside.sdk.settings import ClientSettings


class Secret:
    """A text that shows itself to nobody who does not ask by `get()`: not printed, not logged, not pickled."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def get(self) -> str:
        """Give the secret itself."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret('{hidden.HIDDEN}')"

    def __str__(self) -> str:
        return hidden.HIDDEN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled, so that it gets into no file: load the block where it is used")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self


class Block(Mapping[str, Any]):
    """A block as it was when it was loaded: `block["field"]`, with a `Secret` for what is secret."""

    def __init__(self, name: str, kind: str, revision: int, fields: Mapping[str, Any]) -> None:
        self.name = name
        self.type = kind
        self.revision = revision
        self.fields: Mapping[str, Any] = MappingProxyType(dict(fields))

    @classmethod
    def load(cls, name: str, *, settings: "ClientSettings | None" = None) -> "Block":
        """Ask the server for a block, each time anew. `block:` before the name may stand there.

        Raises NotFound, Unauthorised, CannotReach and the other errors of `airside.sdk.exceptions`.
        """
        from airside.sdk.client import Client, path  # noqa: PLC0415 - importing this module must cost a job nothing

        with Client(settings) as client:
            found = client.request("POST", path("blocks", name.removeprefix("block:"), "reveal"))
        secret = set(found["secrets"])
        fields = {key: _wrapped(value) if key in secret else value for key, value in found["fields"].items()}
        return cls(found["name"], found["type"], found["revision"], fields)

    @classmethod
    async def aload(cls, name: str, *, settings: "ClientSettings | None" = None) -> "Block":
        """Do as `load`, without holding up other coroutines."""
        import asyncio  # noqa: PLC0415 - as below

        return await asyncio.to_thread(lambda: cls.load(name, settings=settings))

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    def __repr__(self) -> str:
        return f"<Block {self.name} ({self.type}, revision {self.revision}): {', '.join(self.fields)}>"


def _wrapped(value: Any) -> Any:
    """Wrap the texts of a field that is secret, of one with names inside each, and keep them out of what is told."""
    if isinstance(value, Mapping):
        return {name: _wrapped(inner) for name, inner in value.items()}
    if not isinstance(value, str):
        return value
    hidden.keep((value, *value.splitlines()))
    return Secret(value)
