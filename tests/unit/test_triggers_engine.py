"""The fold itself: rules that change on the log, positions, saved state."""

import pytest
from tests.support.timeline import MORNING, Timeline, moment, outcomes, record, rule

from airside.triggers import Engine, PositionGap, StateRefused
from airside.triggers.exceptions import TriggersError

AFTER = {"absence": {"type": "done"}, "after": {"type": "started"}, "within": "10s"}
MATCH = {"match": {"type": "x"}}


def document(**parts):
    return rule(**parts).to_document()


def test_a_rule_holds_from_its_place_in_the_log_on():
    line = Timeline()
    assert line.event(0, "x") == []
    assert line.control(1, "created", document=document(trigger=MATCH), revision=4) == []
    (firing,) = line.event(2, "x")
    assert (firing.automation, firing.revision) == ("rule", 4)


def test_a_rule_that_is_the_same_keeps_its_windows():
    line = Timeline()
    line.control(0, "created", document=document(trigger=AFTER))
    line.event(1, "started")
    line.control(2, "updated", document=document(trigger=AFTER, severity="high"), revision=2)
    (firing,) = line.tick(12)
    assert (firing.revision, firing.severity) == (2, "high")


def test_the_same_trigger_written_otherwise_is_the_same():
    line = Timeline()
    line.control(0, "created", document=document(trigger=AFTER))
    line.event(1, "started")
    same = {"within": 10, "after": {"type": ["started"]}, "absence": {"type": "done"}, "rearm": "keep"}
    line.control(2, "updated", document=document(trigger=same), revision=2)
    assert len(line.tick(12)) == 1


@pytest.mark.parametrize(
    "change", [{"within": "20s"}, {"after": {"type": ["started", "y"]}}, {"grace": "1s"}, {"absence": {"type": "d"}}]
)
def test_a_rule_that_changed_closes_its_windows(change):
    line = Timeline()
    line.control(0, "created", document=document(trigger=AFTER))
    line.event(1, "started")
    line.control(2, "updated", document=document(trigger={**AFTER, **change}), revision=2)
    assert line.tick(60) == []
    assert line.engine.next_deadline is None


def test_true_is_not_one_in_what_a_rule_asks_for():
    def trigger(value):
        return {"match": {"type": "x", "where": {"$.k": value}}, "count": 2, "within": "1h"}

    line = Timeline()
    line.control(0, "created", document=document(trigger=trigger(1)))
    line.event(1, "x", payload={"k": 1})
    line.control(2, "updated", document=document(trigger=trigger(True)), revision=2)
    assert line.event(3, "x", payload={"k": True}) == []


def test_disabling_closes_windows_and_enabling_starts_afresh():
    line = Timeline()
    line.control(0, "created", document=document(trigger=AFTER))
    line.event(1, "started")
    line.control(2, "disabled")
    assert line.engine.automations["default", "rule"].enabled is False
    assert line.tick(60) == []
    line.control(61, "enabled")
    assert line.tick(80) == []
    line.event(81, "started")
    assert len(line.tick(92)) == 1


def test_a_deleted_rule_is_gone():
    line = Timeline()
    line.control(0, "created", document=document(trigger=AFTER))
    line.event(1, "started")
    line.control(2, "deleted")
    assert line.tick(60) == []
    assert line.engine.automations == {}


def test_a_deadline_passes_before_the_record_that_deletes_the_rule():
    line = Timeline()
    line.control(0, "created", document=document(trigger=AFTER))
    line.event(1, "started")
    assert len(line.control(12, "deleted")) == 1


def test_a_document_that_cannot_be_read_leaves_the_rule_out_and_says_why():
    line = Timeline()
    line.control(0, "created", document=document(trigger=MATCH))
    line.control(1, "updated", document={"name": "rule", "trigger": {"guess": {}}, "actions": []}, revision=2)
    assert "unknown kind of trigger" in line.engine.broken["default", "rule"]
    assert line.event(2, "x") == []
    line.control(3, "updated", document=document(trigger=MATCH), revision=3)
    assert line.engine.broken == {}
    assert len(line.event(4, "x")) == 1


@pytest.mark.parametrize("payload", [{"document": None}, {"name": 3}, {"revision": "x"}, {"document": []}])
def test_a_control_record_that_says_nothing_stops_nobody(payload):
    line = Timeline()
    assert line.control(0, "created", **payload) == []
    assert line.event(1, "x") == []


def test_only_the_plane_itself_can_change_rules():
    line = Timeline()
    payload = {"name": "rule", "revision": 1, "document": document(trigger=MATCH)}
    line.event(0, "automation.created", "automation://rule", payload=payload)
    assert line.engine.automations == {}


def test_an_engine_for_a_backtest_ignores_the_rules_on_the_log():
    line = Timeline(rule("mine", trigger=MATCH), engine=Engine(control=False))
    line.control(0, "created", document=document(trigger=MATCH))
    assert [each.automation for each in line.event(1, "x")] == ["mine"]


def test_armed_by_the_rule_is_anchored_at_its_revision():
    trigger = {"absence": {"type": "beat"}, "every": "10s", "armed_by": "rule"}

    def fire(position):
        line = Timeline()
        line.position = position
        line.control(0, "created", document=document(trigger=trigger))
        return line.tick(11)[0].id

    assert fire(0) == fire(0)
    assert fire(0) != fire(5)


def test_workspaces_do_not_see_each_other():
    line = Timeline()
    line.control(0, "created", document=document(trigger=MATCH), workspace="one")
    engine = line.engine
    engine.apply(rule(trigger=MATCH), 1, at=moment(0), position=0, workspace="two")
    (firing,) = line.event(1, "x", workspace="two")
    assert firing.workspace == "two"


def test_the_same_firing_in_two_workspaces_has_two_names():
    names = set()
    for workspace in ("one", "two"):
        line = Timeline()
        line.engine.apply(rule(trigger=MATCH), 1, at=moment(0), position=0, workspace=workspace)
        names.add(line.event(1, "x", workspace=workspace)[0].id)
    assert len(names) == 2


def test_a_new_revision_gives_new_names():
    names = set()
    for revision in (1, 2):
        line = Timeline()
        line.engine.apply(rule(trigger=MATCH), revision, at=moment(0), position=0)
        names.add(line.event(1, "x")[0].id)
    assert len(names) == 2


# --- positions


@pytest.mark.parametrize("position", [2, 4, 1])
def test_a_missing_or_repeated_entry_stops_the_engine(position):
    engine = Engine()
    engine.step(record(2, 0, "x"))
    with pytest.raises(PositionGap) as stopped:
        engine.step(record(position, 1, "x"))
    assert (stopped.value.expected, stopped.value.found) == (3, position)
    assert isinstance(stopped.value, TriggersError)
    assert engine.position == 2


def test_an_export_may_have_gaps_but_no_way_back():
    engine = Engine(gaps_allowed=True)
    engine.step(record(2, 0, "x"))
    engine.step(record(9, 0, "x"))
    with pytest.raises(PositionGap):
        engine.step(record(9, 0, "x"))


def test_an_entry_that_is_no_event_moves_the_clock():
    line = Timeline(rule(trigger=AFTER))
    line.event(0, "started")
    line.position += 1
    (firing,) = line.engine.pass_over(line.position, moment(11))
    assert (firing.outcome, firing.position) == ("triggered", 2)


# --- saved state


def busy_engine():
    line = Timeline(
        rule("after", trigger={**AFTER, "for_each": ["resource.id", "$.k"], "on_gap": "hold"}),
        rule("every", trigger={"absence": {"type": "done"}, "every": "30s", "for_each": "resource.id"}),
        rule("by", trigger={"absence": {"type": "done"}, "by": {"time": "10:05"}, "for_each": "resource.id"}),
        rule("match", trigger={"match": {"type": "*"}, "count": 3, "within": "1h", "cooldown": "1m"}),
    )
    line.tick(0)
    line.control(1, "created", name="late", document=document(name="late", trigger=MATCH))
    line.control(2, "created", name="broken", document={})
    for number in range(10):
        line.event(3 + number, "started", f"run://{number}", payload={"k": [1, True, "x", 2.5][number % 4]})
        line.event(40 + number, "done", f"run://{number % 3}", payload={"k": 1}, own=35)
    line.event(60, "flow_run.failed", "run://1")
    return line


def test_a_saved_engine_goes_on_as_if_it_had_never_stopped():
    one, two = busy_engine(), busy_engine()
    two.reload()
    for line in (one, two):
        line.event(70, "started", "run://1", payload={"k": 1})
        line.event(80, "done", "run://2", payload={"k": 1})
    later = [[each.to_dict() for each in line.tick("2025-11-21T11:00:00+00:00")] for line in (one, two)]
    assert later[0] == later[1]
    assert len(later[0]) > 5
    assert one.engine.save() == two.engine.save()


def test_saving_changes_nothing():
    line = busy_engine()
    assert line.engine.save() == line.engine.save()
    assert Engine.load(line.engine.save()).save() == line.engine.save()


def test_what_was_saved_knows_rules_clock_and_position():
    line = busy_engine()
    engine = Engine.load(line.engine.save())
    assert engine.position == line.engine.position
    assert engine.now == line.engine.now
    assert engine.next_deadline == line.engine.next_deadline
    assert engine.automations == line.engine.automations
    assert engine.broken.keys() == {("default", "broken")}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:-1],
        lambda data: data.replace(b"airside-engine ", b"airside-engine 9"),
        lambda data: data.replace(b"run://3", b"run://4"),
        lambda data: b"",
        lambda data: b"{}",
    ],
)
def test_a_state_that_is_not_of_this_engine_or_damaged_is_refused(spoil):
    with pytest.raises(StateRefused, match="replay the log from its beginning"):
        Engine.load(spoil(busy_engine().engine.save()))


def test_the_order_of_firings_at_one_record_is_that_of_deadlines_then_of_rules():
    line = Timeline(
        rule("z-first", trigger={"match": {"type": "go"}}),
        rule("a-second", trigger={"match": {"type": "*"}}),
        rule("deadline", trigger=AFTER),
    )
    line.event(0, "started")
    assert [each.automation for each in line.event(11, "go")] == ["deadline", "z-first", "a-second"]


def test_applying_a_rule_never_moves_the_clock_back():
    line = Timeline(start=MORNING)
    line.event(100, "x")
    line.engine.apply(rule(trigger=AFTER), 1, at=moment(5), position=1)
    assert line.engine.now == moment(100)
    assert outcomes(line.tick(200)) == []


def test_a_firing_can_be_written_as_json():
    line = Timeline(rule(trigger=AFTER, severity="critical"))
    line.event(0, "started", id="s", own=-2)
    (firing,) = line.tick(11)
    shown = firing.to_dict()
    assert shown["time"] == "2025-11-20T10:00:10.000000Z"
    assert shown["decided"] == "2025-11-20T10:00:11.000000Z"
    assert shown["window"] == {"start": "2025-11-20T10:00:00.000000Z", "end": "2025-11-20T10:00:10.000000Z"}
    assert shown["actions"] == [{"kind": "notify", "to": "block:oncall", "title": "look"}]
    assert shown["severity"] == "critical"
    assert shown["events"] == [
        {
            "id": "s",
            "position": 1,
            "type": "started",
            "time": "2025-11-20T09:59:58.000000Z",
            "received": "2025-11-20T10:00:00.000000Z",
            "resource": {"id": "table://a", "kind": "table", "name": "a"},
        }
    ]
    assert len(shown["id"]) == 32
