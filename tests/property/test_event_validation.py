"""The fast path of validation and the slow one accept the same events and make the same of them."""

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from airside.events import InvalidEvent, Limits, model, validation, vocabulary, wire

LIMITS = Limits(max_labels=3, max_related=2, max_causes=2, max_depth=4, max_id_chars=32)

text = st.text(max_size=40) | st.sampled_from(["a.b", "table.updated", "action.failed", "", "a b", "\x00", "\x85"])
labels = st.dictionaries(text, text | st.integers(), max_size=4)
resource = text | st.fixed_dictionaries(
    {"id": text}, optional={"kind": text, "name": text, "labels": labels, "extra": st.none()}
)
related = st.lists(st.fixed_dictionaries({"id": text}, optional={"role": text, "labels": labels}), max_size=3)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats(allow_nan=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
times = st.datetimes().map(lambda t: t.isoformat()) | st.datetimes().map(lambda t: t.isoformat() + "+02:00") | text
events = st.fixed_dictionaries(
    {"type": text, "resource": resource},
    optional={
        "id": text,
        "time": times,
        "source": text,
        "related": related,
        "payload": st.dictionaries(text, values, max_size=3),
        "causes": st.lists(text, max_size=3),
        "workspace": st.sampled_from(["default", "Team A", "b-2"]),
    },
)


def slowly(body: bytes) -> wire.WireEvent | None:
    """Accept by the model alone, as the refusals are made."""
    try:
        return validation.from_model(validation._explain(body, LIMITS), LIMITS)
    except InvalidEvent:
        return None


def quickly(body: bytes) -> wire.WireEvent | None:
    """Accept by the fast path alone."""
    try:
        return validation._accept(validation._one.decode(body), LIMITS, None)
    except (validation._Refused, ValueError):
        return None


@given(events)
@settings(max_examples=400, deadline=None)
def test_what_the_fast_path_accepts_the_model_accepts_alike(event: dict[str, object]) -> None:
    try:
        body = orjson.dumps(event)
    except (TypeError, orjson.JSONEncodeError):
        return  # not JSON: whole numbers beyond 64 bits
    fast, slow = quickly(body), slowly(body)
    if fast is None:
        return  # any doubt of the fast path goes to the model
    assert slow is not None
    if not event.get("id"):
        slow = wire.decode(wire.encode(slow).replace(slow.id.encode(), fast.id.encode()))
    if not event.get("time"):
        return
    assert fast.payload_object() == slow.payload_object()
    empty = {"payload": None}
    assert wire.msgspec.structs.asdict(fast) | empty == wire.msgspec.structs.asdict(slow) | empty


@given(events)
@settings(max_examples=200, deadline=None)
def test_whatever_is_accepted_comes_back_from_the_log_equal(event: dict[str, object]) -> None:
    try:
        found = validation.parse_event(orjson.dumps(event), LIMITS)
    except (TypeError, InvalidEvent):
        return
    assert wire.encode(wire.decode(wire.encode(found))) == wire.encode(found)
    assert model.is_type(found.type)
    assert not vocabulary.is_reserved(found.type)
