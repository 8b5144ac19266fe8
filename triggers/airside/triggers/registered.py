"""A field of a model that takes one of several registered models, told from each other by what is written."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


class Registered:
    """Makes a field take one of the models of a register, which may hold the model of the field itself.

    Args:
        models: gives the models by tag, once all of them are registered.
        check: refuses, in words, what is none of them.
        tag: tells from a value which one it is.
    """

    def __init__(
        self, models: Callable[[], Mapping[str, Any]], check: Callable[[Any], Any], tag: Callable[[Any], str]
    ) -> None:
        self._models = models
        self._check = check
        self._tag = tag

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        choices = {tag: handler.generate_schema(model) for tag, model in self._models().items()}
        union = core_schema.tagged_union_schema(choices, discriminator=self._tag)
        return core_schema.no_info_before_validator_function(self._check, union)
