"""What is allowed in a rule and probably not meant: rules that cannot fire, keys without end, missing time zones."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

import orjson

from airside.coordinator.contradictions import contradictions
from airside.coordinator.self_triggering import own_matches
from airside.triggers import walking
from airside.triggers.filters import Filter
from airside.triggers.kinds import TriggerSpec
from airside.triggers.kinds.query import QuerySpec
from airside.triggers.model import Automation
from airside.triggers.nodes import Path, Tree
from airside.triggers.walking import Place

#: Last words of key parts that have another value in nearly every event.
_ENDLESS: Final = re.compile(
    r"(.*_)?(uuid|guid|event_?id|request_?id|trace_?id|span_?id|message_?id|timestamp|time|ts)|id"
)


def suspicions(automation: Automation, tree: Tree, place: Path) -> Iterator[tuple[Place, str]]:
    """Give what looks wrong, each with its path in the automation. `place` is where it stands in the file."""
    for inner, spec in walking.triggers_in(automation.trigger):
        path: Place = ("trigger", *inner)
        yield from _endless_keys(path, spec)
        yield from _any_of_many(path, spec, automation)
        if getattr(spec, "by", None) is not None and (*place, *path, "by", "timezone") not in tree.values:
            yield (*path, "by"), "says no `timezone`: UTC is meant; write it down, also when it is UTC"
    for inner, wanted in walking.filters_in(automation.trigger):
        effect = "nothing can be the expected event" if inner[-1] == "absence" else "can never fire"
        for part, message in contradictions(wanted):
            yield ("trigger", *inner, *part), f"{effect}: {message}"
    yield from own_matches(automation)


def duplicates(automations: Sequence[Automation]) -> Iterator[tuple[Automation, Automation]]:
    """Give pairs of automations whose triggers say the same, the later one first."""
    first: dict[bytes, Automation] = {}
    for automation in automations:
        trigger = orjson.dumps(automation.to_document()["trigger"], option=orjson.OPT_SORT_KEYS)
        known = first.setdefault(trigger, automation)
        if known is not automation:
            yield automation, known


def expected_types(automation: Automation) -> Iterator[tuple[Place, tuple[str, ...]]]:
    """Give the event types that an automation's absences wait for or begin with, each with its path."""
    for inner, spec in walking.triggers_in(automation.trigger):
        for name in ("absence", "after"):
            wanted = getattr(spec, name, None)
            if isinstance(wanted, Filter) and wanted.type:
                yield ("trigger", *inner, name, "type"), wanted.type


def _endless_keys(path: Place, spec: TriggerSpec) -> Iterator[tuple[Place, str]]:
    if isinstance(spec, QuerySpec):
        return  # the columns of its rows: a query gives as many as it gives
    for number, part in enumerate(spec.for_each):
        last = re.split(r"[.\[\]'\"]+", part.strip("]'\""))[-1].lower()
        if part.startswith("$") and _ENDLESS.fullmatch(last):
            yield (
                (*path, "for_each", number),
                f"`{part}` looks like another value in each event: that is a window for each, without end",
            )


def _any_of_many(path: Place, spec: TriggerSpec, automation: Automation) -> Iterator[tuple[Place, str]]:
    wanted = getattr(spec, "absence", None)
    if not isinstance(wanted, Filter) or spec.for_each or automation.trigger.for_each:
        return
    texts = [text for each in wanted.resource for text in each.id if not text.startswith("!")]
    if globs := [text for text in texts if "*" in text or "?" in text]:
        yield (
            (*path, "absence", "resource"),
            f"one event of any `{globs[0]}` is enough for all; with `for_each: resource.id` each is expected",
        )
