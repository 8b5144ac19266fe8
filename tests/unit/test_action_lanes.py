"""The firings of one automation keep none of another waiting."""

from airside.coordinator.actions.lanes import Lanes, Room

ROOM = Room(of_lane=128, of_all=2_048)


def begun(lanes: Lanes[int]) -> list[tuple[str, int]]:
    found = []
    while (chosen := lanes.next()) is not None:
        found.append(chosen)
    return found


def test_an_automation_has_no_more_than_its_share_of_the_places_and_they_take_turns() -> None:
    lanes = Lanes[int](places=6, share=4, room=ROOM)
    for number in range(10):
        lanes.put("many", number, 0.0)
    assert begun(lanes) == [("many", 0), ("many", 1), ("many", 2), ("many", 3)]
    lanes.put("few", 100, 0.0)
    lanes.put("few", 101, 0.0)
    lanes.put("few", 102, 0.0)
    assert begun(lanes) == [("few", 100), ("few", 101)]
    lanes.finished("many", 1.0)
    lanes.finished("few", 1.0)
    assert begun(lanes) == [("few", 102), ("many", 4)]


def test_what_finds_no_room_is_postponed_to_when_there_should_be_some_and_others_are_taken() -> None:
    lanes = Lanes[int](places=1, share=1, room=ROOM)
    waits = [lanes.put("many", number, 0.0) for number in range(5_000)]
    taken = waits.index(next(wait for wait in waits if wait is not None))
    postponed = [wait for wait in waits[taken:] if wait is not None]
    assert len(postponed) == 5_000 - taken
    assert postponed == sorted(postponed)
    assert 0.5 <= postponed[0] < postponed[-1] <= 60.0
    assert lanes.put("few", 1, 0.0) is None


def test_a_lane_that_was_emptied_postpones_no_longer_than_it_must() -> None:
    lanes = Lanes[int](places=10_000, share=10_000, room=ROOM)
    long = max(lanes.put("many", number, 0.0) or 0.0 for number in range(5_000))
    for name, _ in begun(lanes):
        lanes.finished(name, 2.0)
    short = next(wait for number in range(5_000) if (wait := lanes.put("many", number, 2.0)) is not None)
    assert short < long


def test_what_waits_is_given_back_and_what_runs_goes_on() -> None:
    lanes = Lanes[int](places=1, share=1, room=ROOM)
    for number in range(3):
        lanes.put("a", number, 0.0)
    assert begun(lanes) == [("a", 0)]
    assert (lanes.held(), lanes.empty(), lanes.held()) == ([1, 2], [1, 2], [])
    lanes.finished("a", 0.0)
    assert begun(lanes) == []
