"""Two names of one table: what the settings say stands for what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airside.events import WireEvent, aliases, validation
from airside.events.aliases import Aliases

NAMES = {
    "table://raw/main/orders": "table://warehouse/raw/orders",
    "table://shop_dev/*": "table://shop/*",
    "table://shop_dev/tmp/*": "table://scratch/all",
    "airflow://prod/asset/orders": "table://warehouse/mart/orders",
}


def event(resource: object, *related: str) -> WireEvent:
    others = [{"id": name, "role": "upstream"} for name in related]
    return validation.parse_object({"type": "table.updated", "resource": resource, "related": others})


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("table://raw/main/orders", "table://warehouse/raw/orders"),
        ("table://raw/main/orders2", "table://raw/main/orders2"),
        ("table://shop_dev/main/orders", "table://shop/main/orders"),
        ("table://shop_dev/tmp/1", "table://scratch/all"),  # the longer beginning goes first
        ("s3://lake/raw", "s3://lake/raw"),
    ],
)
def test_a_name_stands_for_the_id_that_is_kept(name: str, kept: str) -> None:
    assert Aliases(NAMES).resolve(name) == kept


def test_events_are_about_the_id_that_is_kept_and_remember_the_name_that_was_said() -> None:
    [changed] = Aliases(NAMES).apply([event("airflow://prod/asset/orders", "table://raw/main/orders", "s3://lake/raw")])
    resource = changed.resource
    assert (resource.id, resource.kind, resource.name) == ("table://warehouse/mart/orders", "table", "orders")
    assert resource.labels == {aliases.LABEL: "airflow://prod/asset/orders"}
    assert [related.id for related in changed.related] == ["table://warehouse/raw/orders", "s3://lake/raw"]
    assert [related.role for related in changed.related] == ["upstream", "upstream"]


def test_a_name_and_a_kind_that_were_given_stay() -> None:
    given_ones = {"id": "table://raw/main/orders", "kind": "view", "name": "Orders", "labels": {"team": "a"}}
    [changed] = Aliases(NAMES).apply([event(given_ones)])
    assert (changed.resource.kind, changed.resource.name) == ("view", "Orders")
    assert changed.resource.labels["team"] == "a"


def test_events_without_aliases_are_passed_on_as_they_are() -> None:
    plain = event("s3://lake/raw", "table://x/y")
    assert Aliases(NAMES).apply([plain])[0] is plain
    events = [plain]
    assert aliases.NONE.apply(events) is events


@given(st.lists(st.sampled_from([*NAMES, "table://shop_dev/a", "table://other/b"]), max_size=5))
def test_what_is_sent_again_stays_as_it_is(names: list[str]) -> None:
    once = Aliases(NAMES).apply([event("table://shop_dev/x", *(name.replace("*", "z") for name in names))])
    assert Aliases(NAMES).apply(once) == once


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ({"a://b": "a://b"}, "itself"),
        ({"a://*": "a://*"}, "itself"),
        ({"a://b": "c://d", "c://d": "e://f"}, "alias itself"),
        ({"a://*": "a://b/*"}, "alias itself"),
        ({"a://b": "c://d", "c://*": "e://*"}, "alias itself"),
        ({"x://*": "c://*", "c://d": "e://f"}, "alias itself"),
        ({"a://*/b": "c://d"}, "at its end"),
        ({"*": "c://d"}, "at its end"),
        ({"a://b": ""}, "at its end"),
        ({"a://b": "c://*"}, "on the left"),
        ({"a://b\n": "c://d"}, "control characters"),
    ],
)
def test_names_that_would_lead_astray_are_refused(names: dict[str, str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Aliases(names)
