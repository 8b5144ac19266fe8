"""The file of watchers, for people to read and change, and for `airside agent start --watch`. Pure."""

import json
from collections.abc import Iterable, Sequence

from airside.agent.discovering.found import Found

_HEAD = """\
# What `airside agent discover` found here and Airside can follow. No secret is in this file; none belongs in it.
# Read it, leave out what you do not want, and run what is left:
#
#     airside agent start --watch {file}
#
# A table that begins with `# [[watch]]` wants something first: the line above it says what.
"""


def to_toml(found: Sequence[Found], file: str) -> str:
    """Write it: a table for each watcher, and a remark for what is followed in another way."""
    parts = [_HEAD.format(file=_line(file))]
    parts += [_table(one, name) for one, name in zip(found, _names(found), strict=True) if one.watch]
    others = [one for one in found if not one.watch]
    if others:
        parts.append("# Not watched, but followed in a way of their own:")
        parts += [
            f"#\n# {one.kind}: {_line(one.what)} ({_line(one.where)})\n#     {_line(one.follow)}" for one in others
        ]
    return "\n".join(parts) + "\n"


def _table(one: Found, name: str) -> str:
    mark = "# " if one.wants else ""
    lines = [f"# {one.kind}: {_line(one.what)} ({_line(one.where)})"]
    lines += [f"# It wants {_line(one.wants)}."] if one.wants else []
    lines += [f"{mark}[[watch]]"]
    lines += [
        f"{mark}{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in {**one.watch, "name": name}.items()
    ]
    return "\n".join(lines) + "\n"


def _names(found: Iterable[Found]) -> list[str]:
    """Give each watcher a name of its own."""
    taken: dict[str, int] = {}
    names = []
    for one in found:
        name = one.watch.get("name", "")
        taken[name] = taken.get(name, 0) + 1
        names.append(name if taken[name] == 1 else f"{name}-{taken[name]}")
    return names


def _line(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)
