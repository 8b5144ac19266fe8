"""The base of every model in an automations file, and the ways a value may be written shorter."""

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, StringConstraints
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

T = TypeVar("T")

MAX_TEXT_CHARS = 65_536  # of one text field; templates are compiled, and rules travel on the log


class Strict(BaseModel):
    """A part of an automation: frozen, and no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _Listed:
    """Lets one value stand for a list of one, when validating and in the JSON Schema."""

    def __init__(self, *, alone: bool) -> None:
        self._alone = alone

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def as_tuple(value: Any) -> Any:
            if isinstance(value, list):
                return tuple(value)
            return (value,) if self._alone and not isinstance(value, tuple) else value

        return core_schema.no_info_before_validator_function(as_tuple, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        array = handler(schema)
        return {"anyOf": [array["items"], array]} if self._alone else array


class FromText:
    """Lets a text stand for an object with that text under one key: `table://a` for `{id: table://a}`."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def as_object(value: Any) -> Any:
            return {self._key: value} if isinstance(value, str) else value

        return core_schema.no_info_before_validator_function(as_object, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string"}, handler(schema)]}


Text = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT_CHARS)]
Several = Annotated[tuple[T, ...], _Listed(alone=False)]
OneOrMore = Annotated[tuple[T, ...], _Listed(alone=True)]
