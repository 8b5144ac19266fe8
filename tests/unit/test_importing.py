"""Prefect's automation documents: which forms are read, what becomes of each part, and what is said of the rest."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airside.triggers import parse_file
from airside.triggers.importing import NotImportable, import_automations, to_yaml

EVENT = {"type": "event", "posture": "Reactive", "expect": ["prefect.flow-run.Failed"]}
NOTHING = [{"type": "do-nothing"}]


def automation(trigger=EVENT, name="a", actions=NOTHING, **parts):
    return {"name": name, "trigger": trigger, "actions": actions, **parts}


def translated(*documents):
    imported = import_automations(list(documents))
    return [each.to_document() for each in parse_file(to_yaml(imported)).automations], imported


def trigger_of(**parts):
    (document,), imported = translated(automation({**EVENT, **parts}))
    assert imported.is_whole
    return document["trigger"]


def refusal(**parts):
    documents, imported = translated(automation({**EVENT, **parts}))
    assert documents == []
    (note,) = imported.notes
    assert note.level == "left out"
    return note.message


@pytest.mark.parametrize("wrap", [lambda one: one, lambda one: [one], lambda one: {"results": [one], "count": 1}])
def test_one_automation_a_list_and_a_page_are_read(wrap):
    imported = import_automations(wrap(automation()))
    assert [each.document["name"] for each in imported.automations] == ["a"]


@pytest.mark.parametrize("data", [None, 3, "x", [1], [{}], {"results": 3}, {"results": [None]}, {"name": "a"}])
def test_what_is_no_automation_is_refused(data):
    with pytest.raises(NotImportable):
        import_automations(data)


def test_names_are_made_fit_and_kept_apart_and_the_original_is_told():
    documents, _ = translated(automation(name="My Rule!"), automation(name="my rule"), automation(name="日本"))
    assert [each["name"] for each in documents] == ["my-rule", "my-rule-2", "automation"]
    assert documents[0]["description"] == "In Prefect: My Rule!"
    assert documents[2]["description"] == "In Prefect: 日本"


def test_description_tags_and_being_switched_off_are_kept():
    (document,), _ = translated(automation(description="why", tags=["x", "y"], enabled=False))
    assert (document["description"], document["enabled"]) == ("why\nTags: x, y", False)


@pytest.mark.parametrize(
    ("names", "types"),
    [
        (["prefect.flow-run.*"], ["prefect.flow-run.>"]),
        (["*"], [">"]),
        ([], [">"]),
        (["b.c", "a"], ["a", "b.c"]),
    ],
)
def test_names_with_a_wildcard_at_their_end_become_types(names, types):
    assert trigger_of(expect=names)["match"]["type"] == types


def test_match_becomes_a_filter_on_id_and_labels():
    trigger = trigger_of(match={"prefect.resource.id": "r.*", "prefect.resource.name": ["n", "m*"], "env": "!prod"})
    assert trigger["match"]["resource"] == [
        {"id": ["r.*"], "labels": {"prefect.resource.name": ["n", "m*"], "env": ["*", "!prod"]}}
    ]


def test_one_related_resource_becomes_a_filter_with_its_role():
    related = {"prefect.resource.role": "flow", "prefect.resource.id": ["f.1", "f.2"]}
    for given_as in (related, [related]):
        trigger = trigger_of(match_related=given_as)
        assert trigger["match"]["related"] == [{"role": ["flow"], "id": ["f.1", "f.2"]}]


@pytest.mark.parametrize(
    "parts",
    [
        {"match_related": [{"a": "b"}, {"c": "d"}]},
        {"match_related": {"prefect.resource.role": "tag", "prefect.resource.id": "!t"}},
        {"match": {"env": ["p*", "!prod"]}},
        {"match": {"env": "[ps]rod"}},
        {"expect": ["run.*.done"]},
        {"expect": ["run.fail*"]},
        {"within": 10},
        {"threshold": 2},
        {"after": ["x"]},
    ],
)
def test_what_a_filter_cannot_say_becomes_a_bucket(parts):
    assert "bucket" in trigger_of(**parts)


def test_keys_are_those_of_the_event():
    labels = ["related:flow:prefect.resource.id", "prefect.resource.id", "env", "related:flow:team"]
    assert trigger_of(for_each=labels)["for_each"] == [
        "resource.labels.env",
        "resource.id",
        "related.flow.id",
        "related.flow.labels.team",
    ]


@pytest.mark.parametrize(
    ("within", "shown"), [(10, "10s"), (0.5, "500ms"), ("PT10M", "10m"), ("1:30:00", "1h30m"), ("60.0", "1m")]
)
def test_durations_are_seconds_iso_or_clock(within, shown):
    assert trigger_of(within=within)["within"] == shown


@pytest.mark.parametrize("within", [0, 0.0, "PT0S", "P0D", "0:00:00", "0"])
def test_no_length_at_all_is_no_window(within):
    assert trigger_of(within=within) == trigger_of()


def test_a_proactive_trigger_waits_at_least_ten_seconds():
    assert trigger_of(posture="Proactive")["within"] == "10s"
    assert trigger_of(posture="Proactive", within=0)["within"] == "10s"
    assert "at least 10 seconds" in refusal(posture="Proactive", within=9)


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ({"within": -1}, "must not be negative"),
        ({"within": None}, "must not be null"),
        ({"within": True}, "must be seconds"),
        ({"within": "soon"}, "must be a duration"),
        ({"within": 1e12}, "at most 400 days"),
        ({"threshold": "many"}, "whole number"),
        ({"posture": "Metric"}, "has no counterpart"),
        ({"posture": "Proactive", "threshold": 0}, "can never fire"),
        ({"type": "metric"}, "has no counterpart"),
        ({"metric": {}}, "not known here: metric"),
        ({"expect": ["my event"]}, "cannot be the type of an event"),
        ({"expect": 3}, "must be a list of texts"),
        ({"match": []}, "must be an object of labels"),
        ({"match": {"a": []}}, "nothing can match"),
        ({"match_related": [3]}, "must be an object of labels"),
        ({"for_each": ["related:a.b:c"]}, "a role with a dot"),
        ({"for_each": [f"l{number}" for number in range(9)]}, "at most 8"),
        ({"type": "compound", "triggers": [], "require": "all"}, "not known here"),
    ],
)
def test_a_trigger_that_cannot_be_translated_is_left_out_with_the_reason(parts, why):
    assert why in refusal(**parts)


def test_the_original_of_what_is_left_out_stands_in_a_comment():
    odd = automation({"type": "metric", "x": "\u2028\n# tricky"}, name="odd\nname")
    text = to_yaml(import_automations([odd, automation()]))
    (comment,) = [line for line in text.splitlines() if line.startswith("  # {")]
    assert json.loads(comment.removeprefix("  # ")) == odd
    assert [each.name for each in parse_file(text).automations] == ["a"]


def compound(**parts):
    inner = [{**EVENT, "expect": [name]} for name in ("a", "b", "c")]
    (document,), imported = translated(automation({"type": "compound", "triggers": inner, "within": 60, **parts}))
    assert imported.is_whole
    return document["trigger"]


def test_compounds_and_sequences_keep_their_window_and_its_closed_edge():
    assert compound(require="all").keys() == {"all", "within", "edge"}
    assert compound(require=3) == compound(require="all")
    assert compound(require=2)["at_least"] == 2
    assert compound(require=1) == compound(require="any")
    assert "within" not in compound(require="any")
    assert "within" not in compound(require="all", within=None)
    sequence = {"type": "sequence", "triggers": [EVENT, EVENT], "within": None}
    (document,), _ = translated(automation(sequence))
    assert document["trigger"].keys() == {"sequence", "time"}


@pytest.mark.parametrize("require", [0, 4, True, "some", 1.5, None])
def test_a_compound_that_can_never_be_is_left_out(require):
    trigger = {"type": "compound", "triggers": [EVENT, EVENT, EVENT], "within": 1, "require": require}
    documents, imported = translated(automation(trigger))
    assert documents == []
    assert "`require` must be" in imported.notes[0].message


def test_keys_that_all_inner_triggers_share_are_those_of_the_whole():
    keyed = [{**EVENT, "for_each": ["prefect.resource.id", "env"]}, {**EVENT, "for_each": ["prefect.resource.id"]}]
    (document,), _ = translated(automation({"type": "compound", "require": "all", "triggers": keyed, "within": 1}))
    assert document["trigger"]["for_each"] == ["resource.id"]


def test_notifications_and_webhooks_have_counterparts_that_must_be_completed():
    actions = [
        {
            "type": "send-notification",
            "block_document_id": "a1-b2",
            "subject": "{{ flow.name }}\nis {{ event.event }}",
            "body": "{% if flow %}at {{ event.occurred }} by {{ automation.name }}{% endif %}",
        },
        {"type": "call-webhook", "block_document_id": "c3", "payload": {"id": "{{ event.id }}", "n": [1, None]}},
    ]
    (document,), imported = translated(automation(actions=actions))
    assert imported.is_whole
    assert document["actions"] == [
        {
            "notify": {
                "to": "env:AIRSIDE_NOTIFY_PREFECT_BLOCK_A1B2",
                "title": "(flow.name) is {{ event.type }}",
                "body": "at {{ event.time }} by {{ automation.name }}",
            }
        },
        {"webhook": {"url": "https://webhook.invalid/C3", "body": {"id": "{{ event.id }}", "n": [1, None]}}},
    ]
    assert {note.level for note in imported.notes} == {"changed"}
    assert any("{{ flow.name }}" in note.message for note in imported.notes)


def test_actions_without_counterpart_are_listed_and_the_rule_keeps_firing():
    pause = {"type": "pause-deployment", "deployment_id": "x"}
    resolved = {"actions_on_resolve": NOTHING, "actions_on_trigger": [pause]}
    (document,), imported = translated(automation(actions=[pause], **resolved))
    assert document["actions"] == [{"emit": {"type": "imported_automation.fired", "resource": {"id": "imported://a"}}}]
    assert not imported.is_whole
    assert [note.message.split("`")[1] for note in imported.notes] == [
        "pause-deployment",
        "pause-deployment",
        "actions_on_resolve",
    ]
    assert to_yaml(imported).count(json.dumps(pause, sort_keys=True)) == 2


def test_a_key_that_nobody_knows_is_told():
    _, imported = translated(automation(surprise=[1]))
    assert [str(note) for note in imported.notes] == ["a: left out: the key `surprise` is not known here"]


texts = st.text(max_size=30) | st.sampled_from(
    ["yes", "null", "1e5", "0x1", "09:00", "- a", "a: b", "#", "*x", "~", "\u2028"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts, lambda inner: st.lists(inner, max_size=3), max_leaves=4
)


@given(name=texts, label=texts, patterns=st.lists(texts, min_size=1, max_size=3), subject=texts, odd=values)
@settings(max_examples=150, deadline=None)
def test_whatever_is_given_the_file_that_is_written_can_be_read_and_says_the_same(name, label, patterns, subject, odd):
    trigger = {**EVENT, "match": {label: patterns}, "within": 10}
    action = {"type": "send-notification", "subject": subject, "body": subject}
    imported = import_automations([automation(trigger, name, [action], extra=odd), automation(odd, name)])
    written = [each.document for each in imported.automations if each.document is not None]
    read = parse_file(to_yaml(imported)).automations
    assert len(read) == len(written)
    for one, other in zip(read, written, strict=True):
        assert one == type(one).from_document(other)
