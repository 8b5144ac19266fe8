"""The SQL of the views, read once from the `.sql` files beside this module."""

import re
from functools import cache
from importlib.resources import files
from typing import Final

#: Counts changes of the tables or of how events are folded. A file of another version is folded anew from the log.
VERSION: Final = 5

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def script(name: str) -> str:
    """Give a whole `.sql` file."""
    return files(__package__).joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")


@cache
def statements(name: str) -> dict[str, str]:
    """Give the statements of a `.sql` file by the names that its comments give them."""
    parts = _NAME.split(script(name))
    return {title: body.strip() for title, body in zip(parts[1::2], parts[2::2], strict=True)}
