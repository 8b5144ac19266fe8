"""`match`: so many events inside a sliding window, which then empties."""

from tests.support.timeline import Timeline, moment, outcomes, rule

THREE = {"match": {"type": "run.failed"}, "count": 3, "within": "10s", "for_each": ["related.flow.id"]}
FLOW = [{"id": "flow://a", "role": "flow"}]


def three(**changes):
    return rule(trigger={**THREE, **changes})


def test_one_event_is_enough_by_default():
    line = Timeline(rule(trigger={"match": {"type": "run.failed"}}))
    (firing,) = line.event(5, "run.failed", id="e")
    assert (firing.outcome, firing.key, firing.time, firing.position) == ("triggered", {}, moment(5), 1)
    assert [each["id"] for each in firing.events] == ["e"]
    assert firing.reason == "run.failed"
    assert len(line.event(6, "run.failed")) == 1


def test_the_third_event_within_the_window_fires_and_empties_it():
    line = Timeline(three())
    assert line.event(0, "run.failed", related=FLOW, id="1") == []
    assert line.event(4, "run.failed", related=FLOW, id="2") == []
    (firing,) = line.event(9.999999, "run.failed", related=FLOW, id="3")
    assert firing.key == {"related": {"flow": {"id": "flow://a"}}}
    assert [each["id"] for each in firing.events] == ["1", "2", "3"]
    assert firing.event_count == 3
    assert firing.reason == "3 run.failed within 10s for related.flow.id = flow://a"
    assert firing.clause == {"trigger": "match", "count": 3, "counted": 3, "within": "10s"}
    assert line.event(10, "run.failed", related=FLOW) == []


def test_an_event_exactly_as_old_as_the_window_no_longer_counts():
    line = Timeline(three())
    line.event(0, "run.failed", related=FLOW)
    line.event(4, "run.failed", related=FLOW)
    assert line.event(10, "run.failed", related=FLOW) == []


def test_repeats_of_an_event_count_once():
    line = Timeline(three())
    for _ in range(5):
        assert line.event(1, "run.failed", related=FLOW, id="same") == []


def test_cooldown_allows_one_firing_per_key_and_still_empties_the_window():
    line = Timeline(three(count=2, cooldown="20s"))
    line.event(0, "run.failed", related=FLOW)
    assert len(line.event(1, "run.failed", related=FLOW)) == 1
    line.event(18, "run.failed", related=FLOW)
    assert line.event(19, "run.failed", related=FLOW) == []
    assert line.event(21, "run.failed", related=FLOW) == []
    assert len(line.event(22, "run.failed", related=FLOW)) == 1
    other = [{"id": "flow://b", "role": "flow"}]
    line.event(23, "run.failed", related=other)
    assert len(line.event(23, "run.failed", related=other)) == 1


def test_an_event_without_the_key_does_not_count():
    line = Timeline(three(count=1))
    assert line.event(0, "run.failed") == []
    assert len(line.event(0, "run.failed", related=FLOW)) == 1


def test_a_firing_lists_the_last_hundred_events_and_counts_all():
    line = Timeline(three(count=150, within="1h", for_each=[]))
    for _ in range(149):
        line.event(1, "run.failed")
    (firing,) = line.event(2, "run.failed")
    assert (len(firing.events), firing.event_count) == (100, 150)
    assert firing.events[-1]["id"] == "e150"


def test_identity_is_made_of_event_ids_and_not_of_positions():
    def fire(position):
        line = Timeline(rule(trigger={"match": {"type": "x"}}))
        line.position = position
        return line.event(position, "x", id="the-event")[0].id

    assert fire(1) == fire(77)


def test_rules_of_another_workspace_see_nothing():
    line = Timeline(rule(trigger={"match": {"type": "x"}}))
    assert line.event(0, "x", workspace="other") == []


def test_a_rule_is_not_set_off_by_its_own_firings():
    line = Timeline(rule(trigger={"match": {"type": "automation.*"}}))
    own = {"subject": "fire.default.x.y"}
    assert line.event(0, "automation.triggered", "automation://rule", **own) == []
    assert len(line.event(0, "automation.triggered", "automation://other", **own)) == 1


def test_rules_that_set_each_other_off_come_to_an_end():
    ping, pong = (
        rule(name, trigger={"match": {"type": "automation.triggered", "resource": f"automation://{other}"}})
        for name, other in (("ping", "pong"), ("pong", "ping"))
    )
    line = Timeline(ping, pong)
    firings = line.event(0, "automation.triggered", "automation://ping", id="first")
    rounds = 0
    while firings:
        (firing,) = firings
        rounds += 1
        about = f"automation://{firing.automation}"
        parts = {"id": firing.id, "subject": "fire.default.x.y"}
        firings = line.event(rounds, "automation.triggered", about, **parts)
    assert rounds == 9
    assert sum(line.engine.loops_stopped.values()) == 1


def test_a_rule_that_starts_again_what_fails_comes_to_an_end():
    line = Timeline(rule(trigger={"match": {"type": "flow_run.failed"}}))
    firings = line.event(0, "flow_run.failed", "run://airside/0")
    rounds = 0
    while firings:
        (firing,) = firings
        rounds += 1
        firings = line.event(rounds, "flow_run.failed", f"run://airside/{rounds}", causes=(firing.id,))
    assert rounds == 9
    assert sum(line.engine.loops_stopped.values()) == 1


def test_ticks_meet_no_rule():
    line = Timeline(rule(trigger={"match": {"type": ">"}}))
    assert line.tick(1) == []
    assert outcomes(line.event(1, "clock.ticked")) == [("triggered", {})]  # forged: just somebody's event


def test_keys_beyond_the_bound_are_refused_and_counted():
    from airside.triggers import Engine

    line = Timeline(three(for_each=["resource.id"], count=2), engine=Engine(max_keys=2))
    for number in (1, 2, 3):
        line.event(0, "run.failed", f"run://{number}")
    assert line.event(1, "run.failed", "run://3") == []
    assert line.engine.keys_refused == {("default", "rule"): 2}
    assert len(line.event(1, "run.failed", "run://1")) == 1
    line.event(11, "run.failed", "run://4")
    assert len(line.event(11, "run.failed", "run://4")) == 1
