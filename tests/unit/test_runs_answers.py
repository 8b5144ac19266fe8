"""What people answer to runs is checked by schemas from outside, which cannot make the checking long."""

import logging
from typing import Any

import pytest
from pydantic import BaseModel, Field

from airside.coordinator.runs import answers


class Line(BaseModel):
    sku: str = Field(pattern="^[a-z]+$")
    count: int = 1


class Order(BaseModel):
    approved: bool
    lines: list[Line] = []
    note: str | None = None


SCHEMA = Order.model_json_schema()


def told(answer: Any) -> list[tuple[str, str]]:
    return [(problem.field, problem.message) for problem in answers.problems(SCHEMA, answer)]


def test_an_answer_that_fits_has_no_problems() -> None:
    assert told({"approved": True, "lines": [{"sku": "abc", "count": 2}], "note": None}) == []


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ({}, ("input.approved", "is required")),
        ([], ("input", "must be object")),
        ({"approved": "yes"}, ("input.approved", "must be boolean")),
        ({"approved": True, "lines": [{"sku": "abc"}, {"sku": "A1"}]}, ("input.lines.1.sku", None)),
        ({"approved": True, "lines": [{"count": 3}]}, ("input.lines.0.sku", "is required")),
        ({"approved": True, "note": 7}, ("input.note", "is none of what is asked for")),
    ],
)
def test_what_does_not_fit_is_named_by_field(answer: Any, problem: tuple[str, str | None]) -> None:
    found = told(answer)
    assert [field for field, _ in found] == [problem[0]]
    assert problem[1] in (None, found[0][1])


def test_the_value_of_a_wrong_answer_is_not_repeated() -> None:
    assert "hunter2" not in str(told({"approved": "hunter2", "note": ["hunter2"]}))


_DOUBLING = {f"a{n}": {"anyOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(40)}


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "http://127.0.0.1:1/schema.json"},
        {"$ref": "file:///etc/passwd"},
        {"$ref": "#/$defs/a0", "$defs": {**_DOUBLING, "a40": {"type": "integer"}}},
        {"type": "zork"},
        {"type": 5},
        {"properties": 3},
        {"pattern": "(?=x)"},
        {"description": "x" * answers.MAX_BYTES},
    ],
)
def test_a_schema_that_is_none_or_takes_too_long_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(answers.BadSchema):
        answers.problems(schema, {} if "properties" in schema else "text")


def test_a_pattern_that_would_take_ages_elsewhere_takes_no_time_here() -> None:
    assert answers.problems({"pattern": "^(a+)+$"}, "a" * 30_000 + "b")


def test_checking_says_nothing_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        told({"approved": 1})
    assert not caplog.records
