"""What can be said about a file of automations without running it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from types import ModuleType
from typing import Any, Literal

from airside.coordinator import suspicions
from airside.triggers import document, nodes
from airside.triggers.exceptions import InvalidDocument
from airside.triggers.model import Automation
from airside.triggers.nodes import Path, Tree


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A mistake, or what is probably one. `line` and `column` count from 1."""

    file: str
    line: int
    column: int
    level: Literal["error", "warning"]
    path: str
    message: str

    def __str__(self) -> str:
        where = f" ({self.path})" if self.path else ""
        return f"{self.file}:{self.line}:{self.column}: {self.level}: {self.message}{where}"

    def to_dict(self) -> dict[str, Any]:
        """Give the finding as a JSON object."""
        return asdict(self)


def findings(file: str, text: str) -> list[Finding]:
    """Find what is wrong with a file's text, in the order of its lines."""
    try:
        automations = document.parse_file(text).automations
    except InvalidDocument as error:
        return [Finding(file, p.line, p.column, "error", p.path, p.message) for p in error.problems]
    tree = nodes.read(text)
    places = _places(tree)
    found = [
        Finding(file, *tree.place(place), level, nodes.show_path(place[1:]), message)
        for automation in automations
        for level, place, message in _of_automation(automation, tree, places[automation.name])
    ]
    for later, first in suspicions.duplicates(automations):
        place = (*places[later.name], "trigger")
        line, _ = tree.place((*places[first.name], "trigger"))
        message = f"says the same as the trigger of `{first.name}` in line {line}: both fire each time"
        found.append(Finding(file, *tree.place(place), "warning", nodes.show_path(place[1:]), message))
    return sorted(set(found))


def never_seen(file: str, text: str, count: Callable[[tuple[str, ...]], int]) -> list[Finding]:
    """Find absences whose types never occurred. `count` tells how many events of some types there were."""
    try:
        automations = document.parse_file(text).automations
    except InvalidDocument:
        return []
    tree = nodes.read(text)
    places = _places(tree)
    found = []
    for automation in automations:
        for path, types in suspicions.expected_types(automation):
            if count(types):
                continue
            place = (*places[automation.name], *path)
            message = f"no {' or '.join(types)} was ever seen on this server"
            found.append(Finding(file, *tree.place(place), "warning", nodes.show_path(place[1:]), message))
    return sorted(found)


def lacking(file: str, text: str, warnings: Iterable[Mapping[str, str]]) -> list[Finding]:
    """Say where in a file what a server lacks for its actions is asked for; `warnings` as the server answers them."""
    tree = nodes.read(text)
    places = _places(tree)
    found = []
    for each in warnings:
        place = (*places[each["automation"]], *_parts(each["path"]))
        message = f"on this server: {each['message']}"
        found.append(Finding(file, *tree.place(place), "warning", nodes.show_path(place[1:]), message))
    return sorted(found)


@cache
def _action_lint() -> ModuleType | None:
    try:
        from airside.coordinator.actions import lint  # noqa: PLC0415 - it needs the server's parts
    except ModuleNotFoundError:
        return None
    return lint


def knows_actions() -> bool:
    """Tell whether the parts that check the texts of actions are installed."""
    return _action_lint() is not None


def _of_automation(
    automation: Automation, tree: Tree, place: Path
) -> Iterator[tuple[Literal["error", "warning"], Path, str]]:
    data = automation.to_document()
    lint = _action_lint()
    for path, message in lint.problems(data) if lint else ():
        yield "error", (*place, *_parts(path)), message
    for path, message in _warnings(data):
        yield "warning", (*place, *_parts(path)), message
    for inner, message in suspicions.suspicions(automation, tree, place):
        yield "warning", (*place, *inner), message


def _warnings(data: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if data.get("enabled") is False:
        yield "enabled", "is switched off: it will not fire"
    trigger = data["trigger"]
    match = trigger.get("match", {})
    if match.keys() == {"type"} and ">" in match["type"] and "cooldown" not in trigger:
        yield "trigger.match", "matches every event; say which, or set a `cooldown`"
    for part in ("actions", "on_resolve"):
        for number, action in enumerate(data.get(part, ())):
            webhook = action.get("webhook")
            if webhook is None:
                continue
            path = f"{part}.{number}.webhook"
            if (lint := _action_lint()) is not None:
                yield from ((f"{path}.{field}", message) for field, message in lint.suspicions("webhook", webhook))
            if str(webhook.get("url", "")).startswith("http://"):
                yield f"{path}.url", "goes out unencrypted; use https:// unless it stays on this machine"
            if "secret" not in webhook:
                yield path, "is not signed; with `secret` its receiver can tell who calls"


def _places(tree: Tree) -> dict[str, Path]:
    """Find where each automation stands: the mapping that has its `name` beside a `trigger`."""
    return {
        str(value): path[:-1]
        for path, value in _leaves(tree)
        if path[-1] == "name" and (*path[:-1], "trigger") in tree.values
    }


def _leaves(tree: Tree) -> Iterator[tuple[Path, Any]]:
    pending: list[tuple[Path, Any]] = [((number,), value) for number, value in enumerate(tree.documents)]
    while pending:
        path, value = pending.pop()
        if isinstance(value, dict):
            pending += [((*path, key), inner) for key, inner in value.items()]
        elif isinstance(value, list):
            pending += [((*path, index), inner) for index, inner in enumerate(value)]
        else:
            yield path, value


def _parts(path: str) -> Path:
    return tuple(int(part) if part.isdecimal() else part for part in path.split("."))
