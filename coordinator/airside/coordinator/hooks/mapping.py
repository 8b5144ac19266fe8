"""What a delivery says, as events: a pure function of the template, the delivery and the limits."""

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import orjson

from airside.coordinator.hooks.reading import Unmapped, public, read_body, without
from airside.coordinator.hooks.signatures import Delivery
from airside.coordinator.hooks.template import HookTemplate, Rule, Tree
from airside.coordinator.templates import Budget, RenderError, Template
from airside.coordinator.templates.nodes import Output, Scope
from airside.events import datasets, trim, validation
from airside.events.exceptions import InvalidEvent, Problem
from airside.events.limits import Limits
from airside.events.model import DEFAULT_WORKSPACE
from airside.events.wire import WireEvent

UNMAPPED: Final = "hook.unmapped"
#: Events that one delivery may become: as many as one atomic batch of the log holds.
MAX_EVENTS: Final = 1_000
#: Characters and values that one delivery's mapping may handle: about a tenth of a second.
MAX_WORK: Final = 8_000_000
#: Levels of a body that are followed; an event's payload may have fewer.
_MAX_LEVELS: Final = 64
_MAX_LISTED: Final = 20
_MAX_PROBLEM_CHARS: Final = 300
#: Of a body that cannot be kept in parts its beginning is kept, as text.
_MAX_BEGINNING_BYTES: Final = 16_384
#: Above this a number of seconds since 1970 would lie beyond the year 5138: it is milliseconds.
_MAX_SECONDS: Final = 1e11


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """Whose delivery it is: the hook's name, and the workspace that its events go to."""

    name: str
    workspace: str = DEFAULT_WORKSPACE

    @property
    def id(self) -> str:
        """The hook as a resource."""
        return f"hook://{datasets.segment(self.name)}"


def run(template: HookTemplate, delivery: Delivery, identity: str, hook: Hook, limits: Limits) -> list[WireEvent]:
    """Turn a delivery into events of the hook's workspace; none when the template ignores it. Raises Unmapped."""
    body = _bounded_body(template, delivery)
    context = {
        "body": body,
        "headers": public(delivery.headers),
        "query": public(delivery.query),
        "delivery": {"id": identity, "sha256": delivery.sha256, "received": delivery.received.isoformat()},
        "hook": {"name": hook.name},
    }
    maker = _Maker(context, delivery, identity, hook, limits)
    try:
        if maker.is_true(template.ignore, context, absent=False):
            return []
        rule = next((rule for rule in template.rules if maker.is_true(rule.when, context, absent=True)), None)
        if rule is None:
            raise Unmapped([Problem("when", "no `when` of the hook's template holds for this delivery")])
        return maker.events(rule)
    except RenderError as error:
        message = "the template handles too much of this delivery; take less of the body"
        raise Unmapped([Problem("", message)]) from error


def keep(
    template: HookTemplate, delivery: Delivery, identity: str, hook: Hook, limits: Limits, *, problems: list[Problem]
) -> WireEvent:
    """Make the event `hook.unmapped`, which keeps a delivery that could not be mapped, cut to an event's weight."""
    try:
        body = _bounded_body(template, delivery)
    except Unmapped:
        body = delivery.body.decode(errors="replace")
    payload = {
        "problems": [
            {"field": trim.text(problem.field, 200), "message": trim.text(problem.message, _MAX_PROBLEM_CHARS)}
            for problem in problems[:_MAX_LISTED]
        ],
        "headers": public(delivery.headers),
        "query": public(delivery.query),
        "body": body,
    }
    data = {
        "id": datasets.bounded(f"hook:{hook.name}:{identity}:unmapped", limits.max_id_chars),
        "type": UNMAPPED,
        "time": delivery.received.isoformat(),
        "source": hook.id,
        "resource": {"id": hook.id, "kind": "hook", "name": hook.name},
        "payload": _kept(payload, limits),
    }
    return msgspec.structs.replace(validation.parse_object(data, limits), workspace=hook.workspace)


def _kept(payload: dict[str, Any], limits: Limits) -> dict[str, Any]:
    """Cut it down part by part; where that leaves nothing, or leaves out too much to name, keep the body's beginning.

    That is JSON as far as it goes, without what the template says to leave out.
    """
    body, rest = payload["body"], [("headers",), ("query",)]
    parts = [("body", key) for key in body] if isinstance(body, dict) else [("body",)]
    trimmed = trim.payload(payload, [*rest, *parts], limits)
    lost = len(parts) - (len(trimmed.get("body", ())) if isinstance(body, dict) else "body" in trimmed)
    most = trim.bound(limits)
    if not parts or (lost < len(parts) and lost <= trim.MAX_LEFT_OUT):
        return trimmed
    small = trim.payload({**payload, "body": ""}, rest, limits)
    whole = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
    room = min(_MAX_BEGINNING_BYTES, most - len(orjson.dumps(small)))
    beginning = trim.text(whole[: max(room, 0)].decode(errors="ignore"), _MAX_BEGINNING_BYTES)
    while (excess := len(orjson.dumps(beginning)) - room) > 0 and beginning:
        beginning = beginning[: -max(1, excess // 2)]
    kept = len(beginning.encode())
    note = f"body: the first {kept:,} of its {len(whole):,} bytes are kept, as text"
    return small | {"body": beginning, "left_out": [note, *small.get("left_out", ())][: trim.MAX_LEFT_OUT]}


def _bounded_body(template: HookTemplate, delivery: Delivery) -> Any:
    body = read_body(delivery)
    if trim.deeper_than(body, _MAX_LEVELS):
        raise Unmapped([Problem("body", f"nested deeper than {_MAX_LEVELS} levels")])
    return without(body, template.without)


class _Maker:
    """Makes the events of one delivery, within one budget."""

    def __init__(self, context: dict[str, Any], delivery: Delivery, identity: str, hook: Hook, limits: Limits) -> None:
        self._context = context
        self._budget = Budget(MAX_WORK)
        self._delivery = delivery
        self._identity = identity
        self._hook = hook
        self._limits = limits

    def is_true(self, condition: Template | None, context: dict[str, Any], *, absent: bool) -> bool:
        """Tell whether a condition holds: it does unless it gives nothing, false, 0 or an empty text."""
        return absent if condition is None else bool(self._value(condition, context))

    def events(self, rule: Rule) -> list[WireEvent]:
        """Make the events of a rule. Raises Unmapped with the problems of all of them."""
        items = rule.each(self._context["body"]) if rule.each else [self._context["body"]]
        if rule.each and len(items) == 1 and isinstance(items[0], list):
            items = items[0]
        if len(items) > MAX_EVENTS:
            raise Unmapped(
                [Problem("each", f"{len(items):,} events of one delivery; at most {MAX_EVENTS:,} are taken")]
            )
        if not items:
            raise Unmapped([Problem("each", "the path leads to nothing in this delivery")])
        events: list[WireEvent] = []
        problems: list[Problem] = []
        for index, item in enumerate(items):
            prefix = f"{index}." if rule.each else ""
            try:
                events.append(self._event(rule, item, index))
            except InvalidEvent as error:
                problems += [Problem(f"{prefix}{entry.field}".rstrip("."), entry.message) for entry in error.problems]
        if problems:
            raise Unmapped(problems)
        return events

    def _event(self, rule: Rule, item: Any, index: int) -> WireEvent:
        context = self._context | {"item": item, "index": index}
        most = self._limits.max_id_chars
        default_id = f"hook:{self._hook.name}:{self._identity}" + (f":{index}" if rule.each else "")
        data = {
            "id": datasets.bounded(self._text("id", rule.id, context) if rule.id else default_id, most),
            "type": self._text("type", rule.type, context),
            "time": self._time(rule.time, context),
            "source": self._text("source", rule.source, context) if rule.source else self._hook.id,
            "resource": self._resource("resource", rule.resource, context),
            "related": [found for entry in rule.related if (found := self._related(entry, context))],
            "payload": self._payload(rule.payload, item, context),
        }
        event = validation.parse_object(data, self._limits)
        return msgspec.structs.replace(event, workspace=self._hook.workspace)

    def _text(self, field: str, template: Template, context: dict[str, Any]) -> str:
        """Render a text that needs every value it names. Raises Unmapped when one is not there."""
        missing = False

        def note(part: str) -> str:
            nonlocal missing
            missing = missing or not part
            return part

        text = template.render(context, budget=self._budget, quote=note).strip()
        if missing or not text:
            raise Unmapped([Problem(field, "a value that the template wants here is not in the delivery")])
        return text

    def _time(self, template: Template | None, context: dict[str, Any]) -> str:
        value = None if template is None else self._value(template, context)
        if isinstance(value, str) and value.strip().replace(".", "", 1).isdecimal():
            value = float(value)
        if value in (None, ""):
            return self._delivery.received.isoformat()
        if isinstance(value, int | float) and not isinstance(value, bool):
            seconds = value / 1000 if abs(value) > _MAX_SECONDS else value
            try:
                return datetime.fromtimestamp(seconds if math.isfinite(seconds) else 1e18, UTC).isoformat()
            except (ValueError, OverflowError, OSError) as error:
                raise Unmapped([Problem("time", "is no number of seconds since 1970")]) from error
        return str(value).strip()

    def _resource(self, field: str, parts: dict[str, Tree], context: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {"id": self._text(f"{field}.id", parts["id"], context)}
        found["id"] = datasets.bounded(found["id"], self._limits.max_id_chars)
        for part in ("kind", "name"):
            if part in parts:
                found[part] = trim.text(str(self._filled(parts[part], context) or ""), 200)
        labels = self._filled(parts.get("labels"), context)
        if isinstance(labels, dict):
            found["labels"] = {
                trim.text(key, 200): trim.text(str(value), 200)
                for key, value in list(labels.items())[: self._limits.max_labels]
                if key and isinstance(value, str | int | float) and value != ""
            }
        return found

    def _related(self, parts: dict[str, Tree], context: dict[str, Any]) -> dict[str, Any] | None:
        """Make a related resource; none when the delivery does not say which."""
        try:
            return {"role": self._text("related.role", parts["role"], context)} | self._resource(
                "related", parts, context
            )
        except Unmapped:
            return None

    def _payload(self, tree: Tree, item: Any, context: dict[str, Any]) -> dict[str, Any]:
        value = item if tree is None else self._filled(tree, context)
        self._pay(value)
        found = value if isinstance(value, dict) else {"body": value}
        return trim.payload(found, [(key,) for key in found], self._limits)

    def _filled(self, tree: Tree, context: dict[str, Any]) -> Any:
        """Put values into a tree of templates; what is not in the delivery is left out of a mapping."""
        if isinstance(tree, dict):
            filled = {key: self._filled(value, context) for key, value in tree.items()}
            return {key: value for key, value in filled.items() if value is not None}
        if isinstance(tree, list):
            return [self._filled(entry, context) for entry in tree]
        return self._value(tree, context) if isinstance(tree, Template) else tree

    def _value(self, template: Template, context: dict[str, Any]) -> Any:
        """Give the value itself of one `{{ path }}`, however large: `trim` bounds it later. Else the text."""
        if len(template.body) == 1 and isinstance(template.body[0], Output):
            return template.body[0].expression.evaluate(Scope(context, self._budget))
        return template.render(context, budget=self._budget)

    def _pay(self, value: Any) -> None:
        """Pay for copying a value, piece by piece."""
        pending = [value]
        while pending:
            piece = pending.pop()
            self._budget.spend(len(piece) + 1 if isinstance(piece, str | dict | list) else 1)
            if isinstance(piece, dict | list):
                pending += piece.values() if isinstance(piece, dict) else piece
