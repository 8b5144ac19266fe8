"""Why not: what a question about a rule and a key finds on the log."""

import pytest
from tests.support.timeline import moment, record, rule

from airside.triggers.entry import Entry
from airside.triggers.filters import Filter
from airside.triggers.misses import Probe
from airside.triggers.why_not import KeyNotUnderstood, WhyNot

FAILURES = {
    "match": {"type": "run.failed", "where": {"$.rows": {"gt": 10}}},
    "count": 3,
    "within": "10m",
    "for_each": "resource.id",
}
MISSING = {"absence": {"type": "job.done"}, "after": {"type": "job.began"}, "within": "10m", "for_each": "resource.id"}


class Log:
    """Entries written line by line, and a question about them."""

    def __init__(self):
        self.records = []

    def event(self, at, event_type, about="job://a", **parts):
        self.records.append(record(len(self.records) + 1, at, event_type, about, **parts))
        return self

    def control(self, at, what, automation, name="rule"):
        about = {"id": f"automation://{name}", "kind": "automation", "name": name}
        payload = {"name": name, "revision": 1, "document": automation.to_document() if automation else None}
        return self.event(at, f"automation.{what}", about, payload=payload, subject="ctl.default.x.y")

    def ask(self, key="job://a", *, at=None, now=None, name="rule"):
        asked = WhyNot(name, {"": key} if isinstance(key, str) else key, now=now)
        for each in self.records:
            asked.step(each)
        return asked.finish(moment(at) if at else None)


def created(trigger, **parts):
    return Log().control("10:00", "created", rule(trigger=trigger, **parts))


def test_it_counts_what_is_there_and_says_how_many_are_missing() -> None:
    log = created(FAILURES)
    for minute in ("10:01", "10:02"):
        log.event(minute, "run.failed", payload={"rows": 11})
    answer = log.ask(at="10:05")
    assert answer["summary"].startswith(
        "as it stands at 2025-11-20T10:05:00.000000Z for resource.id = job://a:"
        " 2 of 3 run.failed where $.rows gt 10 in the last 10m; 1 more needed before 2025-11-20T10:11"
    )
    assert (answer["state"]["counted"], answer["state"]["missing"], answer["counted"]["total"]) == (2, 1, 2)
    assert log.ask(at="10:30")["state"]["counted"] == 0


def test_near_misses_name_the_predicate_and_what_was_found() -> None:
    answer = created(FAILURES).event("10:01", "run.failed", payload={"rows": 3}).ask()
    [event] = answer["missed"]["events"]
    assert event["miss"] == {
        "part": "where.$.rows",
        "wanted": {"gt": 10},
        "found": [3],
        "message": "$.rows must be gt 10, and is 3",
    }
    assert any("$.rows must be gt 10, and is 3" in reason for reason in answer["reasons"])
    assert "no event met its filters for this key while it ran" in answer["reasons"]


def test_events_without_key_twice_and_of_other_keys_are_told_apart() -> None:
    log = created({**FAILURES, "for_each": "$.table"})
    log.event("10:01", "run.failed", payload={"rows": 11, "table": "a"}, id="twice")
    log.event("10:02", "run.failed", payload={"rows": 11, "table": "a"}, id="twice")
    log.event("10:03", "run.failed", payload={"rows": 11})
    log.event("10:04", "run.failed", payload={"rows": 11, "table": "b"})
    answer = log.ask("a")
    totals = {name: answer[name]["total"] for name in ("counted", "duplicates", "keyless", "missed", "ignored")}
    assert totals == {"counted": 1, "duplicates": 1, "keyless": 1, "missed": 0, "ignored": 0}
    assert answer["keyless"]["events"][0]["missing"] == ["$.table"]
    assert answer["other_keys"] == {"events": 1, "keys": 1, "most_common": [{"key": ["b"], "events": 1}]}


def test_a_number_in_the_payload_is_asked_for_as_text() -> None:
    log = created({**FAILURES, "for_each": "$.job"}).event("10:01", "run.failed", payload={"rows": 11, "job": 7})
    answer = log.ask("7")
    assert (answer["key"], answer["state"]["counted"]) == ({"payload": {"job": 7}}, 1)


def test_an_open_window_says_when_it_is_decided() -> None:
    answer = created({**MISSING, "grace": "1m"}).event("10:01", "job.began").ask(at="10:05")
    assert answer["state"]["window"]["due"] == "2025-11-20T10:11:00.000000Z"
    assert answer["state"]["window"]["verdict"] == "2025-11-20T10:12:00.000000Z"
    assert answer["state"]["window"]["opened_by"]["id"] == "e2"
    assert "job.done may still come until 2025-11-20T10:11:00.000000Z" in answer["summary"]


def test_a_window_that_was_closed_in_time_shows_both_events() -> None:
    answer = created(MISSING).event("10:01", "job.began").event("10:05", "job.done").ask(at="11:00")
    assert answer["state"]["window"] is None
    assert [(event["filter"], event["id"]) for event in answer["counted"]["events"]] == [
        ("after", "e2"),
        ("absence", "e3"),
    ]


def test_it_says_when_it_did_fire() -> None:
    answer = created(MISSING).event("10:01", "job.began").ask(at="11:00")
    assert answer["summary"].startswith("it did fire for resource.id = job://a, 1 decision in all; it last fired at")
    assert answer["firings"][0]["key"] == {"resource": {"id": "job://a"}}


def test_what_came_before_the_rule_or_while_it_was_off_is_ignored() -> None:
    automation = rule(trigger=MISSING)
    log = Log().event("09:00", "job.began").control("10:00", "created", automation)
    assert log.ask(now=automation)["ignored"]["events"][0]["why"] == "not there yet"
    log.control("10:01", "disabled", None).event("10:02", "job.began")
    answer = log.ask()
    assert answer["summary"] == "it is switched off, since 2025-11-20T10:01:00.000000Z"
    assert [event["why"] for event in answer["ignored"]["events"]] == ["switched off"]


def test_an_automation_that_is_not_there_says_so() -> None:
    answer = Log().event("10:00", "a.b").ask()
    assert (answer["summary"], answer["state"]) == ("there was no such automation by 2025-11-20T10:00:00.000000Z", None)
    log = created(MISSING).control("10:05", "deleted", None)
    assert log.ask()["summary"] == "it was deleted at 2025-11-20T10:05:00.000000Z"


def test_a_cooldown_is_told() -> None:
    log = created({"match": {"type": "run.failed"}, "for_each": "resource.id", "cooldown": "1h"})
    answer = log.event("10:01", "run.failed").event("10:02", "run.failed").ask()
    assert answer["state"]["cooldown_until"] == "2025-11-20T11:01:00.000000Z"
    assert any("cooldown" in reason for reason in answer["reasons"])


def test_other_automations_on_the_log_do_not_matter() -> None:
    log = created(MISSING).control("10:00", "created", rule("other", trigger={"match": {"type": "job.began"}}), "other")
    answer = log.event("10:01", "job.began").ask(at="10:02")
    assert (answer["fired"], answer["counted"]["total"]) == (0, 1)


def test_calendars_and_silences_say_where_they_stand() -> None:
    by = created({"absence": {"type": "job.done"}, "by": {"time": "11:00"}}).event("10:01", "job.done").ask({})
    assert by["state"]["slots"][0] == {
        "slot": "2025-11-20T11:00",
        "due": "2025-11-20T11:00:00.000000Z",
        "met": True,
    }
    every = created({"absence": {"type": "job.done"}, "every": "1h"}).event("10:01", "job.done").ask({})
    assert every["state"]["window"]["due"] == "2025-11-20T11:01:00.000000Z"


def test_a_key_that_does_not_fit_is_refused_with_the_parts() -> None:
    with pytest.raises(KeyNotUnderstood, match=r"for each resource\.id; say which: resource\.id=…"):
        created(MISSING).ask({})
    with pytest.raises(KeyNotUnderstood, match="no `for_each`"):
        created({"match": {"type": "a.b"}}).ask("job://a")


@pytest.mark.parametrize(
    ("spec", "part", "message"),
    [
        ({"type": "a.c"}, "type", "type must be a.c, and is a.b"),
        ({"type": "a.b", "resource": "table://x*"}, "resource", "resource must be table://x*, and is table://a"),
        ({"resource": {"labels": {"team": "x"}}}, "resource", "resource must be team=x, and is table://a kind=table"),
        ({"source": "airflow://*"}, "source", "source must be airflow://*, and is test://here"),
        ({"related": {"role": "flow"}}, "related", "related must be role=flow, and is nothing"),
        ({"where": {"$.rows": {"gt": 0, "lt": 2}}}, "where.$.rows", "$.rows must be lt 2, and is 3"),
        ({"where": {"$.none": "x"}}, "where.$.none", "$.none must be eq 'x', and is not there"),
    ],
)
def test_a_probe_names_the_first_part_that_fails(spec: dict, part: str, message: str) -> None:
    entry = Entry.of(record(1, "10:00", "a.b", payload={"rows": 3}), moment("10:00"))
    miss = Probe(Filter.model_validate(spec)).miss(entry)
    assert miss is not None
    assert (miss.part, miss.message.startswith(message)) == (part, True), miss.message


def test_a_probe_agrees_with_the_filter_that_holds() -> None:
    entry = Entry.of(record(1, "10:00", "a.b", payload={"rows": 3}), moment("10:00"))
    assert Probe(Filter.model_validate({"type": "a.*", "where": {"$.rows": 3}})).miss(entry) is None
