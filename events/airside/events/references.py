"""References to blocks, which stand for what is not written out. Pure.

    block:warehouse-git          in a deployment, a rule, anywhere else: the block, by its name
    block:warehouse-git.token    one of its fields

A reference is no secret, so it may be on the log. What it stands for is never there.
"""

import re
from dataclasses import dataclass
from typing import Final

PREFIX: Final = "block:"
NAME_RULE: Final = "must be 1 to 80 of a-z, 0-9, `_` and `-`, starting with a letter or digit"
_NAME: Final = r"[a-z0-9][a-z0-9_-]{0,79}"
_REFERENCE: Final = re.compile(rf"{PREFIX}({_NAME})(?:\.([A-Za-z][A-Za-z0-9_-]{{0,79}}))?")


@dataclass(frozen=True, slots=True)
class Reference:
    """What `block:NAME` or `block:NAME.FIELD` names; `field` is empty when the whole block is meant."""

    name: str
    field: str = ""

    def __str__(self) -> str:
        return f"{PREFIX}{self.name}" + (f".{self.field}" if self.field else "")


def reference(text: str) -> Reference | None:
    """Read a reference; None for any other text, also for one that begins like a reference and is none."""
    found = _REFERENCE.fullmatch(text)
    return Reference(found[1], found[2] or "") if found else None


def is_name(text: str) -> bool:
    """Tell whether the text can name a block."""
    return re.fullmatch(_NAME, text) is not None
