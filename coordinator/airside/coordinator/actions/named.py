"""What a rule names instead of writing it out: variables of the server, and blocks. Neither gets into what is told.

A rule can send a value only where an operator meant it to go: variables by their prefixes, blocks by their types.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from airside.coordinator.actions.exceptions import ActionRefused, ActionRetry
from airside.coordinator.blocks.book import Blocks, BlocksLocked, BlocksUnavailable, NoSuchBlock, OpenBlock
from airside.events import masking, references

#: Shorter texts are in everything that is said.
_SHORTEST: Final = 4
#: For each use, the types of blocks that serve it and the field of each that is meant.
NOTIFY: Final = {"notify": "url", "secret": "value"}
URL: Final = {"webhook": "url", "secret": "value"}
HEADER: Final = {"secret": "value"}
SIGNING: Final = {"webhook": "secret", "secret": "value"}


def is_block(value: object) -> bool:
    """Tell whether a text is meant to name a block."""
    return isinstance(value, str) and value.startswith(references.PREFIX)


def is_named(value: object) -> bool:
    """Tell whether a text names a block or a variable, rather than being what it stands for."""
    return is_block(value) or (isinstance(value, str) and value.startswith("env:"))


def bad_reference(field_name: str, value: str, takes: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Find what is wrong with the name of a block: (field, message)."""
    found = references.reference(value)
    if found is None:
        yield field_name, f"must be `block:NAME`; a name {references.NAME_RULE}"
    elif found.field and found.field not in takes.values():
        known = " or ".join(f"`{references.PREFIX}{found.name}.{name}`" for name in dict.fromkeys(takes.values()))
        yield field_name, f"no field `{found.field}` is taken here; write `{references.PREFIX}{found.name}`, or {known}"


def wrong_type(name: str, kind: str, takes: Mapping[str, str]) -> str:
    """Say that a block is of a type that does not serve."""
    return f"the block `{name}` is of type {kind}; here it must be of type {' or '.join(takes)}"


def no_block(name: str, takes: Mapping[str, str]) -> str:
    """Say that there is no block of this name, and how to make it."""
    kind = next(iter(takes))
    return f"there is no block `{name}`: `airside blocks set {name} -t {kind} {takes[kind]}=-` makes it"


def variable(environment: Mapping[str, str], value: str) -> str:
    """Give what a variable holds that a rule names; empty when it names none. Raises ActionRefused."""
    if not value.startswith("env:"):
        return ""
    where = value.removeprefix("env:")
    if not (found := environment.get(where, "").strip()):
        raise ActionRefused(f"{where} is not set: set it where the coordinator runs")
    return found


@dataclass(slots=True)
class Names:
    """Looks up what the rule of one attempt names, and remembers what must not be told of it."""

    blocks: Blocks | None
    workspace: str
    environment: Mapping[str, str]
    secrets: set[str] = field(default_factory=set, repr=False)

    async def text(self, value: str, takes: Mapping[str, str]) -> tuple[str, OpenBlock | None]:
        """Give what `env:NAME` or `block:NAME` stands for, with the block; ('', None) for any other text.

        Raises ActionRefused, ActionRetry.
        """
        if not is_block(value):
            found = variable(self.environment, value)
            self._remember(found)
            return found, None
        named = references.reference(value)
        if named is None:
            raise ActionRefused(f"`{value[:100]}` names no block")
        opened = await self._open(named.name, takes)
        if opened.type not in takes:
            raise ActionRefused(wrong_type(named.name, opened.type, takes))
        text = opened.fields.get(named.field or takes[opened.type])
        if not isinstance(text, str):
            raise ActionRefused(f"the block `{named.name}` has no field `{named.field or takes[opened.type]}`")
        for secret in opened.secrets:
            self._remember(opened.fields.get(secret))
        return text, opened

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep what was looked up out of the errors of the block."""
        try:
            yield
        except ActionRetry as error:
            said = self.masked(str(error))
            raise ActionRetry(said, after_seconds=error.after_seconds, progress=error.progress) from None
        except ActionRefused as error:
            raise ActionRefused(self.masked(str(error))) from None

    def masked(self, text: str) -> str:
        """Write *** for each secret, the longest first."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, masking.MASK)
        return text

    async def _open(self, name: str, takes: Mapping[str, str]) -> OpenBlock:
        if self.blocks is None:
            raise ActionRefused(no_block(name, takes))
        try:
            return await self.blocks.open(self.workspace, name)
        except NoSuchBlock as error:
            raise ActionRefused(no_block(name, takes)) from error
        except BlocksLocked as error:
            raise ActionRefused(str(error)) from error
        except BlocksUnavailable as error:
            raise ActionRetry(str(error)) from error

    def _remember(self, value: Any) -> None:
        """Remember a text, and of addresses what is behind the host; of what has names inside, each."""
        if isinstance(value, Mapping):
            for inner in value.values():
                self._remember(inner)
        elif isinstance(value, str):
            for word in {value, *value.split()}:
                self.secrets.update(part for part in (word, *_behind_the_host(word)) if len(part) >= _SHORTEST)


def _behind_the_host(url: str) -> list[str]:
    try:
        split = urlsplit(url)
    except ValueError:
        return []
    if not split.scheme or not split.netloc:
        return []
    login = split.netloc.rpartition("@")[0]
    return [*login.split(":"), split.path.strip("/"), split.query]
