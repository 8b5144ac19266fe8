"""Texts of actions: templates whose paths are known here; what is not known is written out."""

import re
from typing import Any, Final

_EXPRESSION: Final = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
_PATH: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_STATEMENT: Final = re.compile(r"\{[%#].*?[%#]\}", re.DOTALL)
_SAME: Final = frozenset(
    {
        "automation.name",
        "automation.description",
        "event.id",
        "event.resource.id",
        "event.resource.name",
        "event.received",
    }
)
_RENAMED: Final = {
    "event.event": "event.type",
    "event.occurred": "event.time",
    "firing.triggered": "firing.time",
    "firing.id": "firing.id",
    "firing.triggering_labels": "key | json",
    "event": "event | json",
}


def translate(text: str) -> tuple[str, list[str]]:
    """Give the text with our paths, and the parts that have none."""
    unknown: list[str] = []

    def expression(found: re.Match[str]) -> str:
        inside = found.group(1)
        if inside in _SAME or (_PATH.fullmatch(inside) and inside.startswith("event.payload.")):
            return f"{{{{ {inside} }}}}"
        if inside in _RENAMED:
            return f"{{{{ {_RENAMED[inside]} }}}}"
        unknown.append(found.group(0))
        return f"({_bare(inside)})"

    def statement(found: re.Match[str]) -> str:
        unknown.append(found.group(0))
        return ""

    parts = _EXPRESSION.sub(expression, _STATEMENT.sub(statement, text))
    if re.search(r"\{[{%#]", _EXPRESSION.sub("", parts)):
        unknown.append(text)
        parts = _bare(text)
    return parts, unknown


def translate_value(value: Any) -> tuple[Any, list[str]]:
    """Translate the texts inside a value."""
    if isinstance(value, str):
        return translate(value)
    unknown: list[str] = []
    if isinstance(value, dict):
        found: dict[str, Any] = {}
        for key, inner in value.items():
            found[key], more = translate_value(inner)
            unknown += more
        return found, unknown
    if isinstance(value, list):
        listed = [translate_value(inner) for inner in value]
        return [each for each, _ in listed], [part for _, more in listed for part in more]
    return value, unknown


def _bare(text: str) -> str:
    return re.sub(r"[{}%#]", "", text).strip()
