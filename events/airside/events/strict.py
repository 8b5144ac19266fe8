"""Parts of documents that people write: unknown keys are refused with what was probably meant. Pure."""

from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from airside.events.exceptions import Problem

_UNKNOWN: Final = "unknown_keys"
_NO_SUCH_TAG: Final = "union_tag_invalid"
_NO_TAG: Final = "union_tag_not_found"


class Strict(BaseModel):
    """A part of a document: frozen, and no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            known = [field.alias or name for name, field in cls.model_fields.items()]
            unknown = {str(key): f"unknown key; {nearest(key, known)}" for key in data if key not in known}
            if unknown:
                raise PydanticCustomError(_UNKNOWN, "unknown keys", {"keys": unknown})
        return data


def nearest(word: object, known: Iterable[str]) -> str:
    """Say what was probably meant, or what there is."""
    names = list(known)
    close = get_close_matches(str(word)[:80].lower(), names, n=1, cutoff=0.5)
    return f"did you mean `{close[0]}`?" if close else f"known are {', '.join(names)}"


def told(error: ValidationError, unions: Collection[str] = ()) -> list[Problem]:
    """Name each field that is wrong. `unions`: fields whose `kind` pydantic puts into the path, and people do not."""
    found = []
    for entry in error.errors(include_url=False):
        parts = [str(part) for part in entry["loc"] if part != "[key]"]
        if len(parts) > 1 and parts[0] in unions:
            del parts[1]
        place = ".".join(parts)
        if entry["type"] == _UNKNOWN:
            keys: Mapping[str, str] = entry["ctx"]["keys"]
            found += [Problem(f"{place}.{key}" if place else key, text) for key, text in keys.items()]
        elif entry["type"] == _NO_SUCH_TAG:
            kinds = entry["ctx"]["expected_tags"].replace("'", "").split(", ")
            found.append(Problem(f"{place}.kind".lstrip("."), f"unknown kind; {nearest(entry['ctx']['tag'], kinds)}"))
        elif entry["type"] == _NO_TAG:
            found.append(Problem(place, "must be an object with `kind` and the settings of that kind"))
        else:
            found.append(Problem(place, entry["msg"].removeprefix("Value error, ")))
    return found
