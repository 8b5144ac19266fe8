"""The automation as data: what is exported, the JSON Schema, the register of kinds."""

import json
from types import ModuleType

import pytest
from pydantic import ValidationError
from tests.support.timeline import rule

import airside.triggers
from airside.triggers import Automation, json_schema
from airside.triggers.actions import actions
from airside.triggers.index import RuleIndex, Subscription
from airside.triggers.kinds import kinds


def test_the_package_exports_what_it_imports_and_nothing_else():
    held = {
        name
        for name, value in vars(airside.triggers).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert set(airside.triggers.__all__) == held


def test_automations_are_frozen_and_refuse_unknown_keys():
    automation = rule(trigger={"match": {"type": "x"}})
    with pytest.raises(ValidationError):
        automation.name = "other"
    with pytest.raises(ValidationError):
        rule(trigger={"match": {"type": "x"}}, owner="me")


@pytest.mark.parametrize("name", ["A", "", "-x", "a b", "x" * 81, "é", "a\n"])
def test_names_that_are_none(name):
    with pytest.raises(ValidationError):
        rule(name, trigger={"match": {"type": "x"}})


def test_a_document_keeps_null_where_null_means_something():
    automation = rule(trigger={"match": {"where": {"$.x": None}}})
    assert automation.to_document()["trigger"]["match"]["where"] == {"$.x": {"eq": None}}


def test_a_document_leaves_out_what_was_left_out():
    assert rule(trigger={"match": {"type": "x"}}).to_document() == {
        "name": "rule",
        "trigger": {"match": {"type": ["x"]}},
        "actions": [{"notify": {"to": "block:oncall", "title": "look"}}],
    }


def test_the_schema_describes_every_kind_and_action():
    schema = json.loads(json.dumps(json_schema()))
    definitions = schema["$defs"]
    for kind in kinds().values():
        assert definitions[kind.spec.__name__]["additionalProperties"] is False
        assert kind.word in definitions[kind.spec.__name__]["required"]
    triggers = definitions["Automation"]["properties"]["trigger"]
    assert {each["$ref"].rpartition("/")[2] for each in triggers["oneOf"]} == {
        kind.spec.__name__ for kind in kinds().values()
    }
    for name, model in actions().items():
        assert definitions[model.__name__]["required"] == [name]


def test_the_schema_takes_what_people_write():
    schema = json_schema()
    text = json.dumps(schema)
    assert "a length of time: 90s, 10m" in text
    everything = schema["$defs"]["Filter"]["properties"]
    assert {"type": "string"} in everything["resource"]["anyOf"][0]["anyOf"]
    assert "anyOf" in everything["type"]
    assert schema["$defs"]["Automation"]["properties"]["enabled"]["default"] is True


def test_actions_carry_their_parameters_side_by_side_with_the_kind():
    automation = Automation.from_document(
        {
            "name": "x",
            "trigger": {"match": {"type": "x"}},
            "actions": [
                {"webhook": {"url": "https://example.com", "body": {"a": None}, "timeout": "5s", "secret": "hook"}},
                {"emit": {"type": "a.b", "resource": {"id": "x", "labels": {"k": "v"}}}},
            ],
        }
    )
    webhook, emit = (each.to_dict() for each in automation.actions)
    assert webhook == {
        "kind": "webhook",
        "url": "https://example.com",
        "method": "POST",
        "headers": {},
        "body": {"a": None},
        "timeout": "5s",
        "secret": "hook",
    }
    assert emit["resource"] == {"id": "x", "labels": {"k": "v"}}


def test_a_header_cannot_smuggle_in_another():
    with pytest.raises(ValidationError, match="one line"):
        rule(trigger={"match": {"type": "x"}}, actions=[{"webhook": {"url": "x", "headers": {"a": "b\r\nc: d"}}}])


def test_the_index_finds_by_type_wildcard_and_resource():
    index = RuleIndex()
    index.add(1, [Subscription(("a.b",), frozenset({"r://1"}))])
    index.add(2, [Subscription(("a.*", "c"))])
    index.add(3, [Subscription((), frozenset({"r://2"}))])
    index.add(4, [Subscription(("a.>",)), Subscription(("x",))])
    assert index.candidates("a.b", "r://1") == [1, 2, 4]
    assert index.candidates("a.b", "r://2") == [2, 3, 4]
    assert index.candidates("a.b.c", "r://9") == [4]
    assert index.candidates("a", "r://9") == []
    index.remove(2, [Subscription(("a.*", "c"))])
    index.remove(1, [Subscription(("a.b",), frozenset({"r://1"}))])
    assert index.candidates("a.b", "r://1") == [4]
    assert index.candidates("c", "r://1") == []


def test_an_automation_whose_firings_would_fit_no_message_is_refused():
    body = {"url": "https://example.com", "body": "x" * 60_000}
    with pytest.raises(ValidationError, match=r"takes 300,\d+ bytes as JSON; at most 262,144 go into one automation"):
        rule(trigger={"match": {"type": "x"}}, actions=[{"webhook": body}] * 5)
    assert rule(trigger={"match": {"type": "x"}}, actions=[{"webhook": body}] * 4)
