"""Whole documents: one automation, a list of them, or a page of the API's answers."""

import re
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

from airside.triggers.exceptions import TriggersError
from airside.triggers.importing import actions, triggers
from airside.triggers.importing.report import Note, NotTranslated
from airside.triggers.model import Automation

_KNOWN: Final = {"name", "description", "enabled", "tags", "trigger", "actions"}
#: What the server keeps about an automation; it says nothing about what it does.
_OF_THE_SERVER: Final = {"id", "created", "updated", "account", "workspace", "owner_resource", "labels"}
_NEVER_RUN: Final = "no trigger of this kind ever resolves, so that they would never be carried out"
_MAX_NAME: Final = 80


class NotImportable(TriggersError):
    """The JSON is not automations of Prefect."""


@dataclass(slots=True)
class Translated:
    """One automation: ours as it is written, and what is to be said about it. `document` is None if it was left out."""

    original: Any
    title: str
    document: dict[str, Any] | None = None
    notes: list[Note] = field(default_factory=list)

    def left_out(self, message: str, original: Any = None) -> None:
        """Say that a part is missing."""
        self.notes.append(Note(self.title, "left out", message, original))

    def changed(self, message: str) -> None:
        """Say that a part is different, or to be completed."""
        self.notes.append(Note(self.title, "changed", message))


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import gave."""

    automations: list[Translated]

    @property
    def notes(self) -> list[Note]:
        """All that is to be said."""
        return [note for automation in self.automations for note in automation.notes]

    @property
    def is_whole(self) -> bool:
        """Tell whether nothing was left out."""
        return all(note.level != "left out" for note in self.notes)


def import_automations(data: Any) -> Imported:
    """Translate Prefect's automations. Raises NotImportable."""
    found = data
    if isinstance(data, dict) and "results" in data:
        found = data["results"]
    entries = found if isinstance(found, list) else [found]
    if not all(isinstance(entry, dict) and "trigger" in entry for entry in entries):
        raise NotImportable("not automations of Prefect: each must be an object with a `trigger`")
    taken: set[str] = set()
    return Imported([_translate(entry, taken) for entry in entries])


def _translate(entry: dict[str, Any], taken: set[str]) -> Translated:
    title = str(entry.get("name") or "unnamed")
    found = Translated(entry, title)
    name = _name(title, taken)
    try:
        trigger = triggers.translate(entry["trigger"], found.changed)
        chosen = _actions(entry, found) or [actions.stand_in(name)]
    except NotTranslated as error:
        return _given_up(found, str(error))
    document: dict[str, Any] = {"name": name}
    description = _description(entry, name)
    if description:
        document["description"] = description
    if entry.get("enabled") is False:
        document["enabled"] = False
    document |= {"trigger": trigger, "actions": chosen}
    try:
        Automation.from_document(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        return _given_up(found, f"{'.'.join(_place(first['loc']))}: {first['msg'].removeprefix('Value error, ')}")
    taken.add(name)
    found.document = document
    unknown = sorted(set(entry) - _KNOWN - _OF_THE_SERVER - {"actions_on_trigger", "actions_on_resolve"})
    for key in unknown:
        found.left_out(f"the key `{key}` is not known here", entry[key])
    return found


def _given_up(found: Translated, why: str) -> Translated:
    found.notes.clear()
    found.left_out(why)
    return found


def _place(location: tuple[str | int, ...]) -> list[str]:
    return [str(part) for part in location if not str(part).startswith("\0")]


def _actions(entry: dict[str, Any], found: Translated) -> list[dict[str, Any]]:
    chosen = []
    for key in ("actions", "actions_on_trigger"):
        listed = entry.get(key) or []
        if not isinstance(listed, list):
            raise NotTranslated(f"`{key}` must be a list")
        for action in listed:
            try:
                translated = actions.translate(action, found.changed)
            except NotTranslated as error:
                found.left_out(str(error), action)
                continue
            if translated is not None:
                chosen.append(translated)
    if entry.get("actions_on_resolve"):
        found.left_out(f"`actions_on_resolve`: {_NEVER_RUN}", entry["actions_on_resolve"])
    return chosen


def _name(title: str, taken: set[str]) -> str:
    """Make a name of ours that no other automation of the document has."""
    plain = re.sub(r"[^a-z0-9_.]+", "-", title.lower()).strip("-_.") or "automation"
    name, number = plain[:_MAX_NAME], 1
    while name in taken:
        number += 1
        suffix = f"-{number}"
        name = plain[: _MAX_NAME - len(suffix)] + suffix
    return name


def _description(entry: dict[str, Any], name: str) -> str:
    parts = []
    if entry.get("description"):
        parts.append(str(entry["description"]))
    if entry.get("name") and entry["name"] != name:
        parts.append(f"In Prefect: {entry['name']}")
    tags = entry.get("tags")
    if isinstance(tags, list) and tags:
        parts.append(f"Tags: {', '.join(map(str, tags))}")
    return "\n".join(parts)
