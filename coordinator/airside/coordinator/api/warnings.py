"""What a person should look at though the plane is ready: each says what it is and how to look."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from airside.coordinator.api.plane import Status

_HELD_BACK: Final = {
    "keys_refused": (
        "has too many keys: {} events did not count",
        "raise its `max_keys`, set `on_max_keys: drop_oldest`, or choose another `for_each`",
    ),
    "keys_dropped": (
        "has too many keys: {} were forgotten to make room",
        "raise its `max_keys`, or choose another `for_each`",
    ),
    "loops_stopped": (
        "is part of a loop: {} firings were held back",
        "narrow its trigger, so that what its actions set off does not match it again",
    ),
}


def found(
    at: Status,
    counted: Mapping[str, int],
    failed: Sequence[tuple[str, int]],
    held_back: Mapping[str, Mapping[str, int]],
    unserved: Sequence[Mapping[str, Any]] = (),
) -> list[dict[str, str]]:
    """List the warnings for a workspace: `about`, `says`, `todo`.

    `failed` names automations with failed actions, `unserved` are queues in which runs wait that no agent takes.
    """
    found = (*_all(at, counted, failed, held_back), *_unserved(unserved))
    return [{"about": about, "says": says, "todo": todo} for about, says, todo in found]


def _all(
    at: Status,
    counted: Mapping[str, int],
    failed: Sequence[tuple[str, int]],
    held_back: Mapping[str, Mapping[str, int]],
) -> Iterator[tuple[str, str, str]]:
    if at.engine_trouble:
        yield "engine", at.engine_trouble, "make room in the home folder, or correct its owner; it is tried again"
    if failed:
        total = max(counted.get("failed_actions_24h", 0), sum(number for _, number in failed))
        of = ", ".join(f"{number:,} of {name}" for name, number in failed)
        worst, _ = failed[0]
        verb = "action" if total == 1 else "actions"
        says = f"{total:,} {verb} failed in the last 24 hours: {of}"
        yield "actions", says, f"airside automations firings {worst}, then airside automations explain FIRING"
    for name, counts in sorted(held_back.items()):
        for what, (words, todo) in _HELD_BACK.items():
            if number := counts.get(what):
                yield f"automation {name}", f"{name} {words.format(f'{number:,}')}", todo


def _unserved(queues: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
    for queue in queues:
        name, waiting = queue["name"], queue["waiting"]
        runs = "1 run waits" if waiting == 1 else f"{waiting:,} runs wait"
        for one in queue["unstartable"]:
            yield (
                f"queue {name}",
                f"{runs} in {name}; runs of {one['deployment']} need {one['needs']}, and no agent of {name} has it",
                f"`airside agent kinds` on an agent's machine says why {one['needs']} does not work there",
            )
        if queue["agents"]:
            continue
        lost = f"; lost: {', '.join(queue['lost_agents'])}" if queue["lost_agents"] else ""
        says = f"{runs} in {name} and no living agent takes its runs{lost}"
        yield (
            f"queue {name}",
            says,
            f"start one where the work is to be done: airside agent start -q {shlex.quote(name)}",
        )
