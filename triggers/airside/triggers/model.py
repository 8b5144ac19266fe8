"""An automation: a named rule with one trigger and its actions."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import Field, GetCoreSchemaHandler, StringConstraints, model_validator
from pydantic_core import CoreSchema, core_schema

from airside.triggers import actions, kinds
from airside.triggers.actions import Action
from airside.triggers.kinds import TriggerSpec
from airside.triggers.strict import Several, Strict, Text
from airside.triggers.suggestions import did_you_mean

NAME_RULE: Final = r"^[a-z0-9][a-z0-9_.-]{0,79}$"
MAX_ACTIONS: Final = 50


def _trigger_words() -> list[str]:
    return list(dict.fromkeys(kind.word for kind in kinds.kinds().values()))


def _check_trigger(value: Any) -> Any:
    """Refuse, in words, what is not exactly one kind of trigger."""
    if isinstance(value, TriggerSpec):
        return value
    if not isinstance(value, dict):
        raise ValueError(f"must be a mapping with one of: {', '.join(_trigger_words())}")
    words = [word for word in _trigger_words() if word in value]
    if not words:
        known = ", ".join(_trigger_words())
        hint = next(filter(None, (did_you_mean(key, _trigger_words()) for key in value)), "")
        raise ValueError(f"unknown kind of trigger; known are: {known}{hint}")
    if len(words) > 1:
        raise ValueError(f"is one kind of trigger; {' and '.join(words)} are two")
    marks = [kind.mark for kind in kinds.kinds().values() if kind.word == words[0] and kind.mark]
    given = [mark for mark in marks if mark in value]
    if marks and len(given) != 1:
        what = f"{' and '.join(given)} exclude each other" if given else "says no deadline"
        raise ValueError(f"`{words[0]}` {what}; give exactly one of: {', '.join(marks)}")
    return value


def _trigger_tag(value: Any) -> str:
    if isinstance(value, TriggerSpec):
        return kinds.kind_of(value).tag
    return next(
        kind.tag for kind in kinds.kinds().values() if kind.word in value and (kind.mark is None or kind.mark in value)
    )


def _check_action(value: Any) -> Any:
    if isinstance(value, Action):
        return value
    known = ", ".join(actions.actions())
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError(f"must be one kind of action with its parameters below; known are: {known}")
    (kind,) = value
    if kind not in actions.actions():
        raise ValueError(f"unknown action `{kind}`; known are: {known}{did_you_mean(kind, actions.actions())}")
    return value


def _action_tag(value: Any) -> str:
    return f"\0{value.kind if isinstance(value, Action) else next(iter(value))}"


class _Registered:
    """Makes a field take one of the registered models; which one is told from the value itself."""

    def __init__(self, models: Mapping[str, Any], check: Callable[[Any], Any], tag: Callable[[Any], str]) -> None:
        self._models = models
        self._check = check
        self._tag = tag

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        choices = {tag: handler.generate_schema(model) for tag, model in self._models.items()}
        union = core_schema.tagged_union_schema(choices, discriminator=self._tag)
        return core_schema.no_info_before_validator_function(self._check, union)


AnyTrigger = Annotated[
    TriggerSpec,
    _Registered({tag: kind.spec for tag, kind in kinds.kinds().items()}, _check_trigger, _trigger_tag),
]
AnyAction = Annotated[
    Action,
    _Registered({f"\0{name}": model for name, model in actions.actions().items()}, _check_action, _action_tag),
]


class Automation(Strict):
    """A rule: when its trigger fires, its actions are carried out."""

    name: Annotated[str, StringConstraints(pattern=NAME_RULE)] = Field(
        description="lower-case letters, digits, `_`, `.` and `-`; at most 80; unique in a workspace"
    )
    description: Text | None = None
    enabled: bool = True
    severity: Literal["info", "low", "medium", "high", "critical"] = "medium"
    trigger: AnyTrigger = Field(description="when to act")
    actions: Several[AnyAction] = Field(
        min_length=1, max_length=MAX_ACTIONS, description="what to do when the trigger fires"
    )
    on_resolve: Several[AnyAction] = Field(
        (), max_length=MAX_ACTIONS, description="what to do when the expected thing comes after all"
    )

    @model_validator(mode="after")
    def _resolvable(self) -> "Automation":
        if self.on_resolve and not kinds.kind_of(self.trigger).has_state:
            raise ValueError("`on_resolve` goes with triggers that can end, such as absence; this one only happens")
        return self

    def to_document(self) -> dict[str, Any]:
        """Give the automation as normalised JSON: what was left out stays out, durations in one form."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @classmethod
    def from_document(cls, document: Any) -> "Automation":
        """Read what `to_document` gave. Raises pydantic.ValidationError."""
        return cls.model_validate(document)
