"""Absence, exactly: what is on time, what is late, what is said and when."""

from tests.support.timeline import Timeline, moment, outcomes, rule

AFTER = {
    "absence": {"type": "job.done"},
    "after": {"type": "job.started"},
    "within": "10s",
    "for_each": ["resource.id"],
}
EVERY = {"absence": {"type": "beat"}, "every": "10s", "for_each": ["resource.id"]}
KEY = {"resource": {"id": "table://a"}}


def after(**changes):
    return rule(trigger={**AFTER, **changes})


def every(**changes):
    return rule(trigger={**EVERY, **changes})


def test_no_expected_event_in_time_fires_once():
    line = Timeline(after())
    assert line.event(0, "job.started", id="start-1") == []
    assert line.tick(10) == []
    (firing,) = line.tick(10.000001)
    assert outcomes([firing]) == [("triggered", KEY)]
    assert (firing.time, firing.position) == (moment(10), 3)
    assert firing.decided == moment(10.000001)
    assert [each["id"] for each in firing.events] == ["start-1"]
    assert firing.reason == (
        "no job.done within 10s after job.started, between Thu 20 Nov 10:00 and Thu 20 Nov 10:00:10 UTC"
        " for resource.id = table://a"
    )
    assert line.tick(60) == []


def test_an_event_exactly_at_the_deadline_is_on_time():
    line = Timeline(after())
    line.event(0, "job.started")
    assert line.event(10, "job.done") == []
    assert line.tick(60) == []


def test_a_deadline_passes_before_the_event_that_moved_the_clock_is_applied():
    line = Timeline(after())
    line.event(0, "job.started")
    triggered, resolved = line.event(10.5, "job.done")
    assert (triggered.outcome, resolved.outcome) == ("triggered", "resolved")
    assert resolved.resolves == triggered.id
    assert resolved.late_by == 500_000
    assert resolved.to_dict()["late_by"] == 0.5
    assert resolved.window == triggered.window
    assert triggered.to_dict()["late_by"] is None


def test_an_event_at_the_deadline_is_on_time_whatever_came_at_the_same_moment_before_it():
    line = Timeline(after())
    line.event(0, "job.started")
    line.event(10, "other.thing")
    assert line.event(10, "job.done") == []
    assert line.tick(99) == []


def test_a_clock_that_steps_back_never_moves_the_log_clock_back():
    line = Timeline(after())
    line.event(0, "job.started")
    line.tick(10.5)
    (resolved,) = line.event(3, "job.done")
    assert resolved.outcome == "resolved"
    assert resolved.late_by == 500_000
    assert line.engine.now == moment(10.5)


def test_grace_delays_the_verdict_and_not_the_deadline():
    line = Timeline(after(grace="5s"))
    line.event(0, "job.started")
    assert line.tick(15) == []
    (triggered,) = line.tick(15.1)
    assert triggered.time == moment(10)
    (resolved,) = line.event(20, "job.done")
    assert resolved.late_by == 10_000_000


def test_an_event_within_the_grace_is_on_time():
    line = Timeline(after(grace="5s"))
    line.event(0, "job.started")
    assert line.event(15, "job.done") == []
    assert line.tick(99) == []


def test_later_openers_keep_the_first_anchor():
    line = Timeline(after())
    line.event(0, "job.started", id="first")
    line.event(6, "job.started", id="second")
    (firing,) = line.tick(11)
    assert firing.events[0]["id"] == "first"


def test_later_openers_restart_the_window_when_told():
    line = Timeline(after(rearm="restart"))
    line.event(0, "job.started", id="first")
    line.event(6, "job.started", id="second")
    assert line.tick(16) == []
    (firing,) = line.tick(17)
    assert firing.events[0]["id"] == "second"


def test_an_event_that_closes_and_opens_closes_first():
    line = Timeline(after(after={"type": "job.*"}, absence={"type": "job.done"}))
    line.event(0, "job.started", id="first")
    line.event(5, "job.done", id="both")
    (firing,) = line.tick(16)
    assert firing.events[0]["id"] == "both"


def test_keys_do_not_mix():
    line = Timeline(after())
    line.event(0, "job.started", "run://1")
    line.event(1, "job.started", "run://2")
    line.event(2, "job.done", "run://1")
    assert outcomes(line.tick(30)) == [("triggered", {"resource": {"id": "run://2"}})]


def test_deadlines_pass_in_their_order():
    line = Timeline(after(for_each=["resource.id"]), rule("second", trigger={**AFTER, "within": "5s"}))
    line.event(0, "job.started", "run://1")
    line.event(5, "job.started", "run://2")
    firings = line.tick(60)
    told = [(each.automation, each.key["resource"]["id"]) for each in firings]
    assert told == [("second", "run://1"), ("rule", "run://1"), ("second", "run://2"), ("rule", "run://2")]


def test_a_recovery_is_said_once():
    line = Timeline(after())
    line.event(0, "job.started")
    line.tick(11)
    assert outcomes(line.event(12, "job.done")) == [("resolved", KEY)]
    assert line.event(13, "job.done") == []


def test_a_newer_breach_takes_the_place_of_an_unresolved_one():
    line = Timeline(after())
    line.event(0, "job.started", id="first")
    line.tick(11)
    line.event(20, "job.started", id="second")
    (second,) = line.tick(31)
    (resolved,) = line.event(40, "job.done")
    assert resolved.resolves == second.id


def test_what_comes_after_thirty_days_resolves_nothing():
    line = Timeline(after())
    line.event(0, "job.started")
    line.tick(11)
    assert line.event(31 * 86_400, "job.done") == []


def test_a_repeat_of_an_event_neither_opens_nor_closes():
    line = Timeline(after())
    line.event(0, "job.started", id="start")
    line.event(1, "job.done", id="done")
    line.event(2, "job.started", id="start")
    assert line.tick(30) == []
    line.event(40, "job.started", id="start-2")
    line.event(41, "job.done", id="done")
    assert outcomes(line.tick(60)) == [("triggered", KEY)]


def test_an_event_without_the_key_does_not_count():
    line = Timeline(after(for_each=["resource.labels.team"]))
    line.event(0, "job.started")
    assert line.tick(60) == []


def test_every_silence_fires_once_and_the_next_event_resolves_it():
    line = Timeline(every())
    line.event(0, "beat", id="b1")
    line.event(10, "beat", id="b2")
    (triggered,) = line.tick(21)
    assert triggered.events[0]["id"] == "b2"
    assert triggered.time == moment(20)
    assert line.tick(500) == []
    (resolved,) = line.event(501, "beat", id="b3")
    assert resolved.late_by == 481_000_000
    assert outcomes(line.tick(512)) == [("triggered", KEY)]


def test_every_without_a_first_event_says_nothing():
    line = Timeline(every())
    assert line.tick(1000) == []


def test_armed_by_the_rule_it_says_that_nothing_ever_came():
    line = Timeline(every(armed_by="rule", for_each=[]))
    (firing,) = line.tick(11)
    assert (firing.events, firing.time) == ((), moment(10))


def test_cooldown_holds_back_firings_and_their_recoveries():
    line = Timeline(every(cooldown="1m"))
    line.event(0, "beat")
    assert outcomes(line.tick(11)) == [("triggered", KEY)]
    assert outcomes(line.event(12, "beat")) == [("resolved", KEY)]
    assert line.tick(23) == []
    assert line.event(24, "beat") == []
    line.event(60, "beat")
    assert outcomes(line.tick(71)) == [("triggered", KEY)]


def test_a_finished_run_closes_its_windows_for_good():
    line = Timeline(every())
    line.event(0, "beat", "flow_run://1")
    line.event(5, "flow_run.completed", "flow_run://1")
    assert line.event(6, "beat", "flow_run://1") == []
    assert line.tick(100) == []


def test_a_heartbeat_that_comes_only_after_the_end_of_its_run_opens_nothing():
    line = Timeline(every())
    line.event(0, "flow_run.failed", "flow_run://1")
    line.event(1, "beat", "flow_run://1")
    assert line.tick(100) == []


def test_a_rule_that_waits_for_the_end_of_runs_is_not_closed_by_it():
    trigger = {**AFTER, "absence": {"type": "flow_run.completed"}, "after": {"type": "flow_run.running"}}
    line = Timeline(rule(trigger=trigger))
    line.event(0, "flow_run.running", "flow_run://1")
    line.event(1, "flow_run.failed", "flow_run://1")
    assert outcomes(line.tick(11)) == [("triggered", {"resource": {"id": "flow_run://1"}})]


# --- the event's own time


def test_own_time_before_the_deadline_counts_when_it_comes_within_the_grace():
    line = Timeline(after(time="occurred", grace="1m"))
    line.event(0, "job.started")
    assert line.event(65, "job.done", own=9) == []
    assert line.tick(999) == []


def test_own_time_after_the_deadline_is_late_even_within_the_grace():
    line = Timeline(after(time="occurred", grace="1m"))
    line.event(0, "job.started")
    assert line.event(20, "job.done", own=14) == []
    triggered, resolved = line.tick(71)
    assert (triggered.outcome, resolved.outcome) == ("triggered", "resolved")
    assert resolved.late_by == 4_000_000


def test_own_time_far_in_the_future_is_held_and_marked():
    line = Timeline(every(time="occurred"))
    line.event(0, "beat", own=86_400)
    (firing,) = line.tick(330)
    assert firing.time == moment(310)  # five minutes ahead of the log, and ten seconds
    assert firing.events[0]["time_suspect"] is True


def test_an_older_event_that_arrives_late_proves_nothing_about_the_silence_since():
    line = Timeline(every(time="occurred", grace="5s"))
    line.event(0, "beat", own=0)
    line.event(4, "beat", own=-3)
    (firing,) = line.tick(16)
    assert firing.time == moment(10)


# --- holes in the log


def ticks(line, *seconds):
    return [firing for at in seconds for firing in line.tick(at)]


def test_without_any_tick_there_is_no_hole():
    line = Timeline(after())
    line.event(0, "job.started")
    (firing,) = line.event(5000, "other")
    assert "blind_for" not in firing.window


def test_a_firing_says_for_how_long_the_plane_was_blind_in_its_window():
    line = Timeline(after(within="2m"))
    ticks(line, 0, 10)
    line.event(11, "job.started")
    ticks(line, 20)
    assert ticks(line, 80) == []
    (firing,) = ticks(line, 90, 100, 110, 120, 130, 140)
    assert firing.window["blind_for"] == 60.0
    assert firing.clause["blind_for"] == 60.0
    assert firing.reason.endswith("the plane itself was blind for 1m of it")


def test_a_hole_that_lasts_until_the_verdict_counts():
    line = Timeline(after())
    ticks(line, 0)
    line.event(1, "job.started")
    (firing,) = line.event(500, "other")
    assert firing.window["blind_for"] == 10.0


def test_on_gap_hold_waits_for_what_was_on_its_way():
    line = Timeline(after(on_gap="hold"))
    ticks(line, 0)
    line.event(1, "job.started")
    assert line.tick(61) == []
    assert line.event(100, "job.done") == []
    assert line.tick(1000) == []


def test_on_gap_hold_waits_five_minutes_at_most():
    line = Timeline(after(on_gap="hold"))
    ticks(line, 0)
    line.event(1, "job.started")
    assert line.tick(3600) == []
    assert line.tick(3900) == []
    (firing,) = line.tick(3901)
    assert firing.time == moment(11)
    assert firing.window["blind_for"] == 10.0


def test_on_gap_hold_without_a_hole_does_not_wait():
    line = Timeline(after(on_gap="hold"))
    line.event(0, "job.started")
    assert len(ticks(line, 5, 11)) == 1


def test_each_after_event_can_open_a_window_of_its_own():
    line = Timeline(rule(trigger={"absence": {"type": "x"}, "after": {"type": "a"}, "within": "10s", "rearm": "each"}))
    line.event(0, "a", id="first")
    line.event(2, "a", id="second")
    line.event(4, "a", id="third")
    line.reload()
    assert line.event(5, "x") == []
    late = line.event(13, "z")
    assert [(each.outcome, each.events[0]["id"]) for each in late] == [("triggered", "second")]
    assert line.event(13.5, "x") == []
    (end,) = line.event(14, "x")
    assert (end.outcome, end.resolves, end.late_by) == ("resolved", late[0].id, 2_000_000)
    assert line.event(60, "x") == []
