"""Automations files: YAML in, automations or every mistake out."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from airside.triggers import mistakes, nodes
from airside.triggers.exceptions import InvalidDocument, Problem
from airside.triggers.model import Automation
from airside.triggers.nodes import Path, Tree
from airside.triggers.suggestions import did_you_mean

MAX_PROBLEMS: Final = 1_000  # of one file; whoever has more will fix the first ones first
_SECTIONS: Final = ("automations", "slas")


@dataclass(frozen=True, slots=True)
class Document:
    """What an automations file says."""

    automations: tuple[Automation, ...]


def parse_file(text: str) -> Document:
    """Read an automations file. Raises InvalidDocument with every mistake, each with line and column."""
    tree = nodes.read(text)
    if not tree.is_whole:  # what is missing would be reported as mistakes
        raise InvalidDocument(tree.problems)
    problems = list(tree.problems)
    automations: list[Automation] = []
    names: dict[str, Path] = {}
    for path, value in _entries(tree, problems):
        if isinstance(value, dict) and isinstance(value.get("name"), str):
            _check_name(tree, names, path, value["name"], problems)
        try:
            automations.append(Automation.model_validate(value))
        except ValidationError as error:
            problems += mistakes.explain(error, tree, path)
    if not names and not automations and not problems and not _has_section(tree):
        problems.append(Problem(1, 1, "", "no automations here; begin with `automations:` and a list"))
    if problems:
        raise InvalidDocument(sorted(set(problems))[:MAX_PROBLEMS])
    return Document(tuple(automations))


def _has_section(tree: Tree) -> bool:
    return any(isinstance(value, dict | list) for value in tree.documents)


def _entries(tree: Tree, problems: list[Problem]) -> Iterator[tuple[Path, Any]]:
    """Find the automations of all documents: under `automations:`, in a bare list, or alone."""
    for number, document in enumerate(tree.documents):
        path: Path = (number,)
        if isinstance(document, list):
            yield from (((*path, index), value) for index, value in enumerate(document))
        elif isinstance(document, dict) and "trigger" in document and "automations" not in document:
            yield path, document
        elif isinstance(document, dict):
            yield from _sections(tree, path, document, problems)
        elif document is not None:
            message = "must be `automations:` with a list, a list of automations, or one automation"
            problems.append(mistakes.at(tree, path, message))


def _sections(tree: Tree, path: Path, document: dict[str, Any], problems: list[Problem]) -> Iterator[tuple[Path, Any]]:
    for key, value in document.items():
        place: Path = (*path, key)
        if key == "slas":
            message = "SLAs are not understood by this version; write an automation with an `absence` trigger"
            problems.append(mistakes.at(tree, place, message, of_key=True))
        elif key != "automations":
            message = f"unknown key `{key}`{did_you_mean(key, _SECTIONS)}"
            problems.append(mistakes.at(tree, place, message, of_key=True))
        elif not isinstance(value, list):
            problems.append(mistakes.at(tree, place, "must be a list of automations, each after a `-`"))
        else:
            yield from (((*place, index), each) for index, each in enumerate(value))


def _check_name(tree: Tree, names: dict[str, Path], path: Path, name: str, problems: list[Problem]) -> None:
    first = names.setdefault(name, path)
    if first is not path:
        line, _ = tree.place((*first, "name"))
        message = f"another automation in this file is called `{name}`, in line {line}"
        problems.append(mistakes.at(tree, (*path, "name"), message))
