"""Nothing is lost between our events and CloudEvents, whichever way and whatever they hold."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from airside.events import cloudevents, model, validation

NOW = datetime(2026, 11, 22, tzinfo=UTC)
line = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
free = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
types = st.from_regex(r"[a-z]{1,8}(\.[a-z_]{1,8}){0,3}", fullmatch=True).filter(
    lambda text: text.partition(".")[0] not in ("automation", "action", "sla", "audit", "clock")
)
times = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
labels = st.dictionaries(free.filter(bool), free, max_size=3)
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | free,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(free, inner, max_size=3),
    max_leaves=8,
)
resources = st.fixed_dictionaries({"id": line}, optional={"kind": line, "name": line, "labels": labels})
own_events = st.fixed_dictionaries(
    {"id": line, "type": types, "time": times, "source": line, "resource": resources},
    optional={
        "related": st.lists(st.builds(lambda entry, role: {**entry, "role": role}, resources, line), max_size=3),
        "payload": st.dictionaries(free, values, max_size=3),
        "causes": st.lists(line, max_size=3),
        "workspace": st.sampled_from(["default", "acme"]),
    },
)
extensions = st.dictionaries(
    st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True).filter(
        lambda name: name not in ("specversion", "id", "source", "type", "subject", "time", "data", "dataschema")
    ),
    free,
    max_size=3,
)
foreign_events = st.builds(
    lambda required, more, extra: {**extra, **required, **more},
    st.fixed_dictionaries({"specversion": st.just("1.0"), "id": line, "source": line, "type": types}),
    st.fixed_dictionaries(
        {},
        optional={
            "subject": line,
            "time": times.map(lambda time: time.isoformat().replace("+00:00", "Z")) | times.map(datetime.isoformat),
            "dataschema": line,
            "data": values,
        },
    ),
    extensions,
)


@given(own_events)
@settings(max_examples=150, deadline=None)
def test_our_own_event_comes_back_as_it_was(data: dict[str, Any]) -> None:
    event = validation.parse_object(data)
    sent = cloudevents.to_cloudevent(event)
    assert all(isinstance(value, str) for name, value in sent.items() if name != "data")
    again = cloudevents.from_cloudevent(sent)
    assert again.payload_object() == event.payload_object()
    assert again == event


@given(foreign_events)
@settings(max_examples=150, deadline=None)
def test_a_foreign_event_goes_out_as_it_came(sent: dict[str, Any]) -> None:
    event = cloudevents.from_cloudevent(sent, now=NOW)
    assert cloudevents.to_cloudevent(event) == sent
    assert cloudevents.from_cloudevent(sent, now=NOW) == event
    assert model.is_type(event.type)
