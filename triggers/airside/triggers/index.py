"""Which rules could an event matter to? Found by its type and its resource's id, not by asking every rule."""

from collections.abc import Iterable
from typing import Final, NamedTuple

_MAX_PLANS: Final = 10_000  # types whose way through the index is remembered; senders choose types freely


class Subscription(NamedTuple):
    """Events that a rule wants to see: by type pattern, and by resource id unless it cannot say which."""

    types: tuple[str, ...]
    resources: frozenset[str] | None = None


class _Bucket:
    """The rules under one type pattern."""

    __slots__ = ("any_resource", "by_resource")

    def __init__(self) -> None:
        self.by_resource: dict[str, dict[int, None]] = {}
        self.any_resource: dict[int, None] = {}

    def add(self, rule: int, resources: frozenset[str] | None) -> None:
        if resources is None:
            self.any_resource[rule] = None
        for resource in resources or ():
            self.by_resource.setdefault(resource, {})[rule] = None

    def remove(self, rule: int, resources: frozenset[str] | None) -> bool:
        """Take a rule out and tell whether the bucket is empty now."""
        self.any_resource.pop(rule, None)
        for resource in resources or ():
            rules = self.by_resource.get(resource)
            if rules is not None:
                rules.pop(rule, None)
                if not rules:
                    del self.by_resource[resource]
        return not self.any_resource and not self.by_resource


class _Node:
    """One word of the patterns with wildcards."""

    __slots__ = ("children", "here", "rest")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.here: _Bucket | None = None
        self.rest: _Bucket | None = None


class RuleIndex:
    """Rules, given as numbers, by what they subscribe to. Answers in the order of the numbers."""

    def __init__(self) -> None:
        self._exact: dict[str, _Bucket] = {}
        self._root = _Node()
        #: By type: the rules on any resource, and for those on certain ones a table each.
        self._plans: dict[str, tuple[list[int], list[dict[str, dict[int, None]]]]] = {}

    def add(self, rule: int, subscriptions: Iterable[Subscription]) -> None:
        """Enter a rule."""
        self._plans.clear()
        for types, resources in subscriptions:
            for pattern in types or (">",):
                self._bucket(pattern).add(rule, resources)

    def remove(self, rule: int, subscriptions: Iterable[Subscription]) -> None:
        """Take a rule out; `subscriptions` are those it was entered with."""
        self._plans.clear()
        for types, resources in subscriptions:
            for pattern in types or (">",):
                if self._bucket(pattern).remove(rule, resources) and pattern in self._exact:
                    del self._exact[pattern]

    def candidates(self, event_type: str, resource: str) -> list[int]:
        """List the rules that could match an event of this type about this resource. Leave the list as it is."""
        always, tables = self._plans.get(event_type) or self._plan(event_type)
        if not tables:
            return always
        if not always and len(tables) == 1:
            return sorted(tables[0].get(resource, always))
        found = dict.fromkeys(always)
        for table in tables:
            found |= table.get(resource, {})
        return sorted(found)

    def _plan(self, event_type: str) -> tuple[list[int], list[dict[str, dict[int, None]]]]:
        """Find what candidates of a type there are. A plan holds until the rules change."""
        if len(self._plans) >= _MAX_PLANS:
            self._plans.clear()
        buckets = list(self._buckets(event_type))
        always = sorted({rule for bucket in buckets for rule in bucket.any_resource})
        plan = (always, [bucket.by_resource for bucket in buckets if bucket.by_resource])
        self._plans[event_type] = plan
        return plan

    def _bucket(self, pattern: str) -> _Bucket:
        words = pattern.split(".")
        if "*" not in words and words[-1] != ">":
            return self._exact.setdefault(pattern, _Bucket())
        takes_rest = words[-1] == ">"
        node = self._root
        for word in words[:-1] if takes_rest else words:
            node = node.children.setdefault(word, _Node())
        if takes_rest:
            node.rest = node.rest or _Bucket()
            return node.rest
        node.here = node.here or _Bucket()
        return node.here

    def _buckets(self, event_type: str) -> Iterable[_Bucket]:
        """Find every bucket whose pattern the type meets."""
        exact = self._exact.get(event_type)
        if exact:
            yield exact
        nodes = [self._root]
        for word in event_type.split("."):
            reached = []
            for node in nodes:
                if node.rest:
                    yield node.rest
                reached += [node.children[each] for each in (word, "*") if each in node.children]
            nodes = reached
        for node in nodes:
            if node.here:
                yield node.here
