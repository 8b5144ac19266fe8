"""From a call to named values, validated by the function's annotations, and their JSON schema."""

import inspect
import logging
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final, get_type_hints

from airside.sdk.flows.exceptions import BadOption, BadParameters

#: Keywords that flows and tasks take themselves.
OWN: Final = frozenset({"return_state", "wait_for"})
_log = logging.getLogger("airside.flows")
_SPREAD: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Parameters:
    """The parameters of one function. `self` of a bound method is no parameter."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._name = getattr(function, "__qualname__", type(function).__name__)
        try:
            self.signature = inspect.signature(function)
        except (TypeError, ValueError) as error:
            raise BadOption(f"{self._name} does not say what it takes: {error}") from None
        if taken := OWN & set(self.signature.parameters):
            raise BadOption(f"{self._name}: a parameter must not be called {min(taken)}")
        kinds = {parameter.kind for parameter in self.signature.parameters.values()}
        #: The names of parameters that may all be given by position: most calls, bound without asking the signature.
        self._plain = tuple(self.signature.parameters) if kinds <= {inspect.Parameter.POSITIONAL_OR_KEYWORD} else None

    def bind(self, arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> dict[str, Any]:
        """Name the values of a call, defaults included. Raises BadParameters for a call that does not fit."""
        if self._plain is not None and not keywords and len(arguments) == len(self._plain):
            return dict(zip(self._plain, arguments, strict=True))
        try:
            bound = self.signature.bind(*arguments, **keywords)
        except TypeError as error:
            raise BadParameters(f"{self._name}{self.signature}: {error}") from None
        bound.apply_defaults()
        return bound.arguments

    def call(self, values: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Turn named values back into the arguments and keywords to call the function with."""
        if self._plain is not None and len(values) == len(self._plain) and all(map(values.__contains__, self._plain)):
            return tuple([values[name] for name in self._plain]), {}
        bound = inspect.BoundArguments(self.signature, dict(values))
        return bound.args, bound.kwargs

    def validate(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Check values against the annotations and convert them, as pydantic does in its lax mode.

        Raises BadParameters naming each parameter that is wrong, never its value.
        """
        if not self._annotated:
            return dict(values)
        from pydantic import ValidationError  # noqa: PLC0415 - a tenth of a second that others need not pay

        given = {name: value for name, value in values.items() if name in self._annotated}
        try:
            checked = self._model.model_validate(given)
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(map(str, entry['loc']))}: {entry['msg']}"
                for entry in error.errors(include_input=False, include_url=False)
            )
            raise BadParameters(f"{self._name}: {wrong}") from None
        converted = {name: getattr(checked, field) for name, field in self._annotated.items()}
        return {**values, **converted}

    def json_schema(self) -> dict[str, Any]:
        """Describe the parameters as JSON schema, so that others can check them before a run begins."""
        from pydantic import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError  # noqa: PLC0415

        plain = {"type": "object", "title": "Parameters", "properties": {}}
        try:
            schema: dict[str, Any] = self._model.model_json_schema() if self._annotated else plain
        except (PydanticInvalidForJsonSchema, PydanticSchemaGenerationError):
            schema = plain
        schema["additionalProperties"] = any(p.kind is p.VAR_KEYWORD for p in self.signature.parameters.values())
        for name, parameter in self.signature.parameters.items():
            if parameter.kind in _SPREAD:
                continue
            schema["properties"].setdefault(name, {"title": name.replace("_", " ").capitalize()})
            if parameter.default is parameter.empty and name not in (required := schema.setdefault("required", [])):
                required.append(name)
        return schema

    @cached_property
    def _annotated(self) -> dict[str, str]:
        """Give each annotated parameter a field of the model that checks it: names of people's could clash there."""
        return {
            name: f"p{number}"
            for number, (name, parameter) in enumerate(self.signature.parameters.items())
            if parameter.annotation not in (parameter.empty, Any) and parameter.kind not in _SPREAD
        }

    @cached_property
    def _model(self) -> Any:
        from pydantic import ConfigDict, Field, create_model  # noqa: PLC0415

        hints = self._hints()
        fields: dict[str, Any] = {}
        for name, field in self._annotated.items():
            default = self.signature.parameters[name].default
            title = name.replace("_", " ").capitalize()
            shown = ... if default is inspect.Parameter.empty else default
            fields[field] = (hints.get(name, Any), Field(shown, alias=name, title=title))
        return create_model("Parameters", __config__=ConfigDict(arbitrary_types_allowed=True), **fields)

    def _hints(self) -> dict[str, Any]:
        """Read the annotations; what cannot be read, as a name imported for type checkers only, is not checked."""
        try:
            return get_type_hints(self._function, include_extras=True)
        except Exception:  # noqa: BLE001 - any name may be missing, any expression may fail
            hints: dict[str, Any] = {}
        names = getattr(self._function, "__globals__", {}) | _around(self._function)
        for name in self._annotated:
            annotation = self.signature.parameters[name].annotation
            try:
                hints[name] = eval(annotation, names) if isinstance(annotation, str) else annotation  # noqa: S307
            except Exception as error:  # noqa: BLE001
                _log.warning("%s: %s is not validated: %s", self._name, name, error)
        return hints


def _around(function: Any) -> dict[str, Any]:
    """Give the variables around a function that it uses itself."""
    try:
        return dict(inspect.getclosurevars(function).nonlocals)
    except (TypeError, ValueError):
        return {}
