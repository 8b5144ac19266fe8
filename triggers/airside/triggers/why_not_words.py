"""The answer to "why did it not fire?" in sentences, the one that decides first."""

from collections.abc import Iterator
from typing import Any


def reasons(answer: dict[str, Any], key: str) -> list[str]:
    """Say what kept a rule from firing, as far as the answer tells. `key` is the key in words, empty for none."""
    return list(_state(answer, f" for {key}" if key else "")) + list(_events(answer))


def _state(answer: dict[str, Any], of_key: str) -> Iterator[str]:
    changed, state = answer["changed"], answer["state"]
    if answer["broken"]:
        yield f"it cannot be run: {answer['broken']}"
        return
    if answer["created"] is None:
        was = f"it was deleted at {changed['time']}" if changed else f"there was no such automation by {answer['at']}"
        yield was
        return
    if not answer["enabled"]:
        yield f"it is switched off, since {changed['time']}" if changed else "it is switched off"
        return
    if answer["firings"]:
        last = answer["firings"][-1]
        verb = "was last resolved" if last["outcome"] == "resolved" else "last fired"
        number = _count(answer["fired"], "decision")
        yield f"it did fire{of_key}, {number} in all; it {verb} at {last['time']}: {last['reason']}"
    if state is None:
        return
    if state["cooldown_until"]:
        yield f"its cooldown{of_key} lasts until {state['cooldown_until']}: until then nothing fires"
    yield f"as it stands at {answer['at']}{of_key}: {state['summary']}"
    if state["loops_stopped"]:
        yield f"{_count(state['loops_stopped'], 'firing')} not made because rules had set each other off too deep"
    if state["keys_refused"]:
        yield f"{_count(state['keys_refused'], 'event')} of new keys not taken because the rule has too many keys"


def _events(answer: dict[str, Any]) -> Iterator[str]:
    if not answer["counted"]["total"]:
        yield "no event met its filters for this key while it ran"
    for event in answer["missed"]["events"][-1:]:
        number = _count(answer["missed"]["total"], "event")
        yield f"{number} of a right type did not pass a filter; the last, {event['id']}: {event['miss']['message']}"
    for event in answer["keyless"]["events"][-1:]:
        number, parts = _count(answer["keyless"]["total"], "event"), " and no ".join(event["missing"])
        yield f"{number} passed and had no {parts}, the last {event['id']}: without it there is no key to count for"
    for event in answer["ignored"]["events"][-1:]:
        number = _count(answer["ignored"]["total"], "event")
        yield f"{number} that would have counted came while it was {event['why']}, the last {event['id']}"
    for event in answer["duplicates"]["events"][-1:]:
        number = _count(answer["duplicates"]["total"], "event")
        yield f"{number} came again and counted once, the last {event['id']}"
    others = answer["other_keys"]
    if others["events"]:
        first = others["most_common"][0]
        yield (
            f"{_count(others['events'], 'event')} passed for {_count(others['keys'], 'other key')},"
            f" most for {' and '.join(first['key'])}"
        )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
