"""A trigger as it is written: which kind it is, told by its keys."""

from typing import Annotated, Any

from airside.triggers.kinds.base import TriggerSpec, kind_of, kinds
from airside.triggers.registered import Registered
from airside.triggers.suggestions import did_you_mean


def _words() -> list[str]:
    return list(dict.fromkeys(kind.word for kind in kinds().values()))


def _check(value: Any) -> Any:
    """Refuse, in words, what is not exactly one kind of trigger."""
    if isinstance(value, TriggerSpec):
        return value
    if not isinstance(value, dict):
        raise ValueError(f"must be a mapping with one of: {', '.join(_words())}")
    words = [word for word in _words() if word in value]
    if not words:
        known = ", ".join(_words())
        hint = next(filter(None, (did_you_mean(key, _words()) for key in value)), "")
        raise ValueError(f"unknown kind of trigger; known are: {known}{hint}")
    if len(words) > 1:
        raise ValueError(f"is one kind of trigger; {' and '.join(words)} are two")
    marks = [kind.mark for kind in kinds().values() if kind.word == words[0] and kind.mark]
    given = [mark for mark in marks if mark in value]
    if marks and len(given) != 1:
        what = f"{' and '.join(given)} exclude each other" if given else "alone does not say when"
        raise ValueError(f"`{words[0]}` {what}; give exactly one of: {', '.join(marks)}")
    return value


def _tag(value: Any) -> str:
    if isinstance(value, TriggerSpec):
        return kind_of(value).tag
    return next(
        kind.tag for kind in kinds().values() if kind.word in value and (kind.mark is None or kind.mark in value)
    )


AnyTrigger = Annotated[TriggerSpec, Registered(lambda: {tag: kind.spec for tag, kind in kinds().items()}, _check, _tag)]
