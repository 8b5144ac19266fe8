"""The tree of commands, put together only as far as it is asked for.

Groups of the SDK are imported when they are named. Other components add commands through the entry-point group
`airside.commands`: the name is the command's path with dots (`up`, `views.rebuild`), the value `module:function`.
Nothing of them is imported before the command, or the help that lists it, is asked for.
"""

import os
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command

ENTRY_POINTS: Final = "airside.commands"

#: Groups and commands of the SDK itself.
OWN: Final = {
    "status": "airside.sdk.cli.status:status",
    "events": "airside.sdk.cli.events:app",
    "resources": "airside.sdk.cli.resources:app",
    "runs": "airside.sdk.cli.runs:app",
    "deployments": "airside.sdk.cli.deployments:app",
    "queues": "airside.sdk.cli.queues:app",
    "agents": "airside.sdk.cli.agents:app",
    "automations": "airside.sdk.cli.automations:app",
    "limits": "airside.sdk.cli.limits:app",
    "blocks": "airside.sdk.cli.blocks:app",
    "query": "airside.sdk.cli.query:query",
    "tokens": "airside.sdk.cli.tokens:app",
    "hooks": "airside.sdk.cli.hooks:app",
    "spool": "airside.sdk.cli.spool:app",
    "dbt": "airside.sdk.cli.dbt:app",
}
#: Groups that have no commands but those of other components.
ADDED_GROUPS: Final = {
    "agent": "Carry out runs on this machine.",
    "views": "Look after what is folded from the log.",
}
#: What people need first comes first; the rest follows in alphabetical order.
ORDER: Final = (
    "up",
    "demo",
    "status",
    "events",
    "resources",
    "runs",
    "deployments",
    "queues",
    "agents",
    "agent",
    "automations",
    "limits",
    "blocks",
    "query",
    "tokens",
    "hooks",
    "watch",
    "views",
)

NO_MARKUP: Final[Any] = None  # plain help: formatting it with rich costs 100 ms


def new_group(path: tuple[str, ...], help_text: str) -> typer.Typer:
    """Make a group of commands that other components can add to. `path` is () for `airside` itself."""
    cls = type("Group", (_Group,), {"path": path})
    app = typer.Typer(
        cls=cls,
        help=help_text,
        no_args_is_help=True,
        add_completion=not path,
        rich_markup_mode=NO_MARKUP,
        pretty_exceptions_enable=False,
    )
    app.callback()(_nothing)
    return app


def examples(*lines: str) -> str:
    """Give the end of a help text: examples, line by line."""
    return "\n\n".join(("\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines),))


def _nothing() -> None:
    pass


class _Group(TyperGroup):
    path: tuple[str, ...] = ()

    def list_commands(self, ctx: Any) -> list[str]:
        names = {*self.commands, *_added(self.path), *(() if self.path else (*OWN, *ADDED_GROUPS))}
        if not self.path:
            names -= {group for group in ADDED_GROUPS if not _added((group,))}
        order = {name: number for number, name in enumerate(ORDER)}
        return sorted(names, key=lambda name: (order.get(name, len(order)), name))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        found: Any = super().get_command(ctx, cmd_name)
        if found is not None:
            return found
        if not self.path and cmd_name in OWN:
            return _load(OWN[cmd_name], cmd_name)
        added = _added(self.path)
        if cmd_name in added:
            return _load(added[cmd_name], cmd_name)
        if not self.path and cmd_name in ADDED_GROUPS and _added((cmd_name,)):
            command: Any = get_command(new_group((cmd_name,), ADDED_GROUPS[cmd_name]))
            command.name = cmd_name
            return command
        return None


def _load(target: str, name: str) -> Any:
    """Import `module:attribute` and make a command of it: a group as it is, a function by its signature.

    What cannot be imported becomes a command that says so: help must list the others.
    """
    module, _, attribute = target.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        found = _unavailable(error)
    if not isinstance(found, typer.Typer):
        app = typer.Typer(add_completion=False, rich_markup_mode=NO_MARKUP, pretty_exceptions_enable=False)
        app.command(name, epilog=getattr(found, "epilog", None))(found)
        found = app
    command: Any = get_command(found)
    command.name = name
    return command


def _unavailable(error: Exception) -> Callable[[], None]:
    def command() -> None:
        raise error

    command.__doc__ = f"Not available: {error}."
    return command


def _added(path: tuple[str, ...]) -> dict[str, str]:
    """Give the commands that other components put directly under a group: name to `module:function`."""
    found = {}
    for name, target in _entry_points().items():
        *parents, leaf = name.split(".")
        if tuple(parents) == path:
            found[leaf] = target
    return found


@cache
def _entry_points() -> dict[str, str]:
    """Read the entry points of all installed packages. importlib.metadata does the same and costs 70 ms more."""
    found: dict[str, str] = {}
    for file in _entry_point_files():
        try:
            with open(file, encoding="utf-8") as opened:  # noqa: PTH123
                text = opened.read()
        except OSError:
            continue
        for name, target in _section(text):
            found.setdefault(name, target)
    return found


def _section(text: str) -> Iterator[tuple[str, str]]:
    inside = False
    for line in text.splitlines():
        name, separator, target = (part.strip() for part in line.partition("="))
        if name.startswith("["):
            inside = name == f"[{ENTRY_POINTS}]"
        elif inside and separator:
            yield name, target.partition("[")[0].strip()


def _entry_point_files() -> Iterator[str]:
    for folder in dict.fromkeys(sys.path):
        try:
            names = os.listdir(folder or ".")  # noqa: PTH208
        except OSError:
            continue
        for name in names:
            if name.endswith((".dist-info", ".egg-info")):
                yield os.path.join(folder, name, "entry_points.txt")  # noqa: PTH118
