"""Translated automations as YAML that people can read and go on with."""

import json
import re
from typing import Any, Final

import yaml

from airside.triggers.importing.automations import Imported, Translated

_HEAD: Final = (
    "# Imported from Prefect. Read the lines that begin with `# left out` and `# changed` before applying it."
)
_PLAIN: Final = re.compile(r"[A-Za-z_][\w./-]*( [\w./-]+)*|(\d+(ms|[dhms]))+")
_WORDS: Final = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
_MAX_LINE: Final = 60  # a list that is longer is written line by line


class _Dumper(yaml.SafeDumper):
    """Writes texts in quotes unless they are plain words, and never an alias."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
        return super().increase_indent(flow, indentless=False)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


def _represent_list(dumper: yaml.SafeDumper, values: list[Any]) -> yaml.SequenceNode:
    short = all(isinstance(value, str) for value in values) and sum(map(len, values)) < _MAX_LINE
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=short)


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(list, _represent_list)


def to_yaml(imported: Imported) -> str:
    """Write an automations file. What was left out stands in comments, as JSON."""
    lines = [_HEAD]
    whole = [each for each in imported.automations if each.document is not None]
    lines.append("automations:" if whole else "automations: []")
    for each in whole:
        lines += [*_comments(each), *_entry(each.document)]
    for each in imported.automations:
        if each.document is None:
            original = json.dumps(each.original, sort_keys=True)
            lines += ["", f"  # not imported: {_ascii(each.title)}", *_comments(each, gap=False), f"  # {original}"]
    return "\n".join(lines) + "\n"


def _comments(each: Translated, *, gap: bool = True) -> list[str]:
    return [*([""] if gap else []), *(f"  # {_ascii(note.comment)}" for note in each.notes)]


def _entry(document: Any) -> list[str]:
    text = yaml.dump([document], Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)
    return [f"  {line}" if line else "" for line in text.rstrip("\n").split("\n")]


def _ascii(text: str) -> str:
    """Keep a comment on one line, whatever it quotes."""
    return json.dumps(text)[1:-1].replace('\\"', '"')
