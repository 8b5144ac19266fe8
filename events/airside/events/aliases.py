"""Other names of resources: where two tools call one table differently, both names become one id.

    [aliases]
    "table://raw/main/orders" = "table://warehouse/raw/orders"
    "table://shop_dev/*" = "table://shop/*"

The left side is what a tool says, with `*` at its end for all ids that begin so; the right side is the id that is kept.
With `*` on both sides the rest stays. The exact name goes before any `*`, a longer beginning before a shorter one.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from airside.events import model
from airside.events.wire import WireEvent, WireRelated, WireResource

#: The label under which the name that a tool used stays with the resource.
LABEL: Final = "known_as"


class Aliases:
    """What each name stands for. Raises ValueError for names that lead on to others: then it would matter how often."""

    def __init__(self, names: Mapping[str, str]) -> None:
        """Take the pairs as they stand in the settings."""
        self._exact: dict[str, str] = {}
        beginnings: list[tuple[str, str]] = []
        for name, target in names.items():
            _check(name, target)
            if name.endswith("*"):
                beginnings.append((name[:-1], target))
            else:
                self._exact[name] = target
        self._beginnings = sorted(beginnings, key=lambda pair: len(pair[0]), reverse=True)
        for name, target in names.items():
            self._check_end(name, target)

    def __bool__(self) -> bool:
        return bool(self._exact or self._beginnings)

    def resolve(self, identifier: str) -> str:
        """Give the id that is kept; most ids are no aliases and stay."""
        if (target := self._exact.get(identifier)) is not None:
            return target
        for beginning, target in self._beginnings:
            if identifier.startswith(beginning):
                return target[:-1] + identifier[len(beginning) :] if target.endswith("*") else target
        return identifier

    def apply(self, events: Sequence[WireEvent]) -> Sequence[WireEvent]:
        """Replace aliases in the resources of events, the related ones too."""
        return [self._of_event(event) for event in events] if self else events

    def _of_event(self, event: WireEvent) -> WireEvent:
        resource = self._of_resource(event.resource)
        related = tuple(map(self._of_related, event.related))
        same = resource is event.resource and all(new is old for new, old in zip(related, event.related, strict=True))
        return event if same else msgspec.structs.replace(event, resource=resource, related=related)

    def _of_resource(self, old: WireResource) -> WireResource:
        target = self.resolve(old.id)
        return old if target == old.id else WireResource(target, *_about(old, target))

    def _of_related(self, old: WireRelated) -> WireRelated:
        target = self.resolve(old.id)
        return old if target == old.id else WireRelated(target, old.role, *_about(old, target))

    def _check_end(self, name: str, target: str) -> None:
        """Make sure that a resolved id is not an alias itself: what is sent twice must stay the same."""
        stem = target.removesuffix("*")
        leads_on = self.resolve(stem) != stem
        if target.endswith("*"):
            leads_on |= any(other.startswith(stem) for other in (*self._exact, *(b for b, _ in self._beginnings)))
        if leads_on and stem != name.removesuffix("*"):
            raise ValueError(f"alias `{name}`: `{target}` is an alias itself; name the last id directly")
        if stem == name.removesuffix("*"):
            raise ValueError(f"alias `{name}` stands for itself")


def _check(name: str, target: str) -> None:
    for text in (name, target):
        stem = text.removesuffix("*")
        if not stem or "*" in stem:
            raise ValueError(f"alias `{name}`: `{text}` must be an id, with `*` at its end or not at all")
        model.plain_text(stem)
    if target.endswith("*") and not name.endswith("*"):
        raise ValueError(f"alias `{name}`: `*` on the right needs one on the left")


def _about(old: WireResource | WireRelated, target: str) -> tuple[str, str, dict[str, str]]:
    """Give kind, name and labels under the new id: what was derived from the old id is derived anew."""
    kind = model.kind_of(target) if old.kind == model.kind_of(old.id) else old.kind
    name = model.name_of(target) if old.name == model.name_of(old.id) else old.name
    return kind, name, {**old.labels, LABEL: old.id}


NONE: Final = Aliases({})
