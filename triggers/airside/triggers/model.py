"""An automation: a named rule with one trigger and its actions."""

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import Field, StringConstraints, model_validator

from airside.triggers import actions, kinds
from airside.triggers.actions import Action
from airside.triggers.kinds import AnyTrigger
from airside.triggers.registered import Registered
from airside.triggers.strict import Several, Strict, Text
from airside.triggers.suggestions import did_you_mean

NAME_RULE: Final = r"^[a-z0-9][a-z0-9_.-]{0,79}$"
MAX_ACTIONS: Final = 50
MAX_DOCUMENT_BYTES: Final = 262_144  # each firing carries the actions, beside its events


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


AnyAction = Annotated[
    Action,
    Registered(lambda: {f"\0{name}": model for name, model in actions.actions().items()}, _check_action, _action_tag),
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

    @model_validator(mode="after")
    def _fits_a_message(self) -> "Automation":
        size = len(orjson.dumps(self.to_document()))
        if size > MAX_DOCUMENT_BYTES:
            raise ValueError(f"takes {size:,} bytes as JSON; at most {MAX_DOCUMENT_BYTES:,} go into one automation")
        return self

    def to_document(self) -> dict[str, Any]:
        """Give the automation as normalised JSON: what was left out stays out, durations in one form."""
        return self.model_dump(mode="json", exclude_defaults=True, by_alias=True)

    @classmethod
    def from_document(cls, document: Any) -> "Automation":
        """Read what `to_document` gave. Raises pydantic.ValidationError."""
        return cls.model_validate(document)


@dataclass(frozen=True, slots=True)
class Installed:
    """An automation that the engine knows, and whether it runs."""

    automation: Automation
    revision: int
    enabled: bool
