"""Which events are asked for: as query parameters, as a filter of the views, and as a test of single events."""

import re
from collections.abc import Callable
from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from airside.coordinator.api.moments import Moment
from airside.coordinator.views.reads import EventFilter
from airside.coordinator.views.reads.filters import type_regex
from airside.events.wire import Record
from airside.triggers.globs import compile_glob

Test: TypeAlias = Callable[[Record], bool]

_MAX_CHARS: Final = 1_000
_ROLE = re.compile(r"([A-Za-z0-9_.-]+)=(.*)", re.DOTALL)


def check_label(text: str) -> str:
    """Refuse what is not KEY=VALUE. Raises ValueError."""
    key, separator, _ = text.partition("=")
    if not key or not separator:
        raise ValueError("must be KEY=VALUE")
    return text


_Text = Annotated[str, Field(min_length=1, max_length=_MAX_CHARS)]


class Selection(BaseModel):
    """Filters on events; all that are given must hold. In globs `*` is any run of characters, `?` exactly one."""

    model_config = ConfigDict(extra="forbid")

    type: list[_Text] = Field(
        [], max_length=50, description="event type; `*` is one word, `>` the rest; several: any of them"
    )
    resource: _Text | None = Field(None, description="glob on the resource's id")
    kind: _Text | None = Field(None, description="the resource's kind")
    label: list[Annotated[_Text, AfterValidator(check_label)]] = Field(
        [], max_length=50, description="KEY=VALUE of the resource's labels; several: all of them"
    )
    source: _Text | None = Field(None, description="glob on the source")
    since: Moment = Field(None, description="received then or later: a time with a zone, or `30d`, `2h`, `90m` ago")
    until: Moment = Field(None, description="received before")
    related: _Text | None = Field(None, description="glob on a related resource's id, or ROLE=glob, as `flow=flow://*`")

    def to_filter(self, workspace: str) -> EventFilter:
        """Give the filter as the views take it."""
        role, related = self._related()
        return EventFilter(
            workspace,
            types=tuple(self.type),
            resource=self.resource,
            kind=self.kind,
            labels=dict(entry.split("=", 1) for entry in self.label),
            source=self.source,
            since=self.since,
            until=self.until,
            related=related,
            role=role,
        )

    def _related(self) -> tuple[str | None, str | None]:
        if self.related is None:
            return None, None
        match = _ROLE.fullmatch(self.related)
        return (match[1], match[2] or None) if match else (None, self.related)


def compile_test(wanted: EventFilter) -> Test:
    """Turn the filter into a test that lets through exactly what the views would list for it."""
    tests: list[Test] = [lambda record: record.event.workspace == wanted.workspace]
    if wanted.types:
        types = re.compile("|".join(f"(?:{type_regex(pattern)})" for pattern in wanted.types))
        tests.append(lambda record: types.fullmatch(record.event.type) is not None)
    if wanted.resource is not None:
        resource = compile_glob(wanted.resource)
        tests.append(lambda record: resource(record.event.resource.id))
    if wanted.kind is not None:
        tests.append(lambda record: record.event.resource.kind == wanted.kind)
    if wanted.labels:
        tests.append(lambda record: wanted.labels.items() <= record.event.resource.labels.items())
    if wanted.source is not None:
        source = compile_glob(wanted.source)
        tests.append(lambda record: source(record.event.source))
    if wanted.since is not None:
        since = wanted.since
        tests.append(lambda record: record.received >= since)
    if wanted.until is not None:
        until = wanted.until
        tests.append(lambda record: record.received < until)
    if wanted.related is not None or wanted.role is not None:
        tests.append(_related_test(wanted))
    return lambda record: all(test(record) for test in tests)


def _related_test(wanted: EventFilter) -> Test:
    by_id, by_role = compile_glob(wanted.related or "*"), compile_glob(wanted.role or "*")
    return lambda record: any(by_id(related.id) and by_role(related.role) for related in record.event.related)
