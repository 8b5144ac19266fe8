"""Filters: which events a rule is about, as written in YAML.

Everything that is given must hold. A list means any of it, except that a text with a leading `!` must not match:
`["table://sales/*", "!table://sales/tmp*"]` is all of sales but the temporary tables.

`related` holds when one related resource meets the whole entry. An entry's `!` texts say what none of
the related resources may be: `{role: flow, id: "!flow://a"}` wants a related flow, and that none is flow://a.
"""

from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, model_validator

from airside.events.model import is_type
from airside.triggers import globs, paths, predicates
from airside.triggers.strict import FromText, OneOrMore, Strict

TYPE_RULE: Final = (
    "must be words between dots, as table.updated; `*` stands for one whole word, `>` at the end for the rest"
)


def _type_pattern(pattern: str) -> str:
    words = pattern.split(".")
    if words[-1] == ">":
        words[-1] = "*"
    if not is_type(".".join("x" if word == "*" else word for word in words)):
        raise ValueError(TYPE_RULE)
    return pattern


def _path(path: str) -> str:
    paths.compile_path(path)
    return path


def _bare_value(value: Any) -> Any:
    """Let a bare value stand for `{eq: value}`."""
    return value if isinstance(value, dict) else {"eq": value}


def _operands(predicate: dict[str, JsonValue]) -> dict[str, JsonValue]:
    problems = []
    for operator, operand in predicate.items():
        try:
            predicates.compile_operator(operator, operand)
        except ValueError as error:
            problems.append(f"`{operator}`: {error}")
    if problems:
        raise ValueError("; ".join(problems))
    if not predicate:
        raise ValueError(f"says nothing; give one of {', '.join(predicates.OPERATORS)}")
    return predicate


TypePattern = Annotated[str, AfterValidator(_type_pattern)]
Glob = Annotated[str, AfterValidator(globs.check_glob)]
Globs: TypeAlias = OneOrMore[Glob]
JsonPath = Annotated[str, AfterValidator(_path)]
Operator: TypeAlias = Literal[
    "eq", "ne", "lt", "lte", "gt", "gte", "in", "not_in", "exists", "matches", "glob", "contains", "between"
]
_Predicate: TypeAlias = dict[Operator, JsonValue]
Predicate = Annotated[
    _Predicate,
    AfterValidator(_operands),
    BeforeValidator(_bare_value, json_schema_input_type=_Predicate | str | float | bool | list[JsonValue] | None),
]


class ResourceFilter(Strict):
    """Which resources: every field that is given must hold. Texts are globs; a leading `!` negates."""

    id: Globs = Field((), description="glob on the id, as `table://warehouse/*`")
    kind: Globs = Field((), description="glob on the kind, as `table`")
    name: Globs = Field((), description="glob on the name")
    labels: dict[str, Globs] = Field({}, description="globs on labels, by key")

    @model_validator(mode="after")
    def _something(self) -> "ResourceFilter":
        if not any(getattr(self, field) for field in type(self).model_fields):
            raise ValueError("says nothing; give an id, kind, name or labels, or leave it out")
        return self


class RelatedFilter(ResourceFilter):
    """Which related resources, with the part they play."""

    role: Globs = Field((), description="glob on the role: `flow`, `upstream`")


class Filter(Strict):
    """Which events. Everything that is given must hold; a list means any of it."""

    type: OneOrMore[TypePattern] = Field(
        (), description="`table.updated`; `*` stands for one word, `>` at the end for the rest"
    )
    resource: OneOrMore[Annotated[ResourceFilter, FromText("id")]] = Field(
        (), description="what the event is about: a glob on its id, or an object"
    )
    related: OneOrMore[Annotated[RelatedFilter, FromText("id")]] = Field(
        (), description="another resource that the event involves"
    )
    source: Globs = Field((), description="glob on who says so, as `airflow://*`")
    where: dict[JsonPath, Predicate] = Field(
        {}, description="JSONPath on the payload, and what must hold of it; a bare value means equal"
    )

    @model_validator(mode="after")
    def _something(self) -> "Filter":
        if not any(getattr(self, field) for field in type(self).model_fields):
            raise ValueError("a filter that says nothing; give at least a type (`>` means every type)")
        return self
