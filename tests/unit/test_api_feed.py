"""The feed: one bounded ring for everybody, and the same events from it as from the views."""

import asyncio

import orjson
import pytest
from tests.support.api_plane import MemoryPlane
from tests.support.api_samples import event
from tests.views_samples import posted, tick

from airside.coordinator.api.selection import Selection, compile_test
from airside.coordinator.feed import Feed, TooManyWatchers, encode, to_json
from airside.coordinator.views import reads
from airside.events import validation, wire
from airside.events.wire import Record

pytest_plugins = ["tests.support.api_fixtures"]


def positions(feed: Feed, after: int, limit: int = 1_000) -> list[int] | None:
    entries = feed.after(after, limit)
    return None if entries is None else [entry.record.position for entry in entries]


async def test_a_watcher_reads_what_came_after_its_position() -> None:
    feed = Feed()
    with feed.watch():
        feed.publish([posted(n) for n in range(1, 6)], 5)
        assert positions(feed, 0) == [1, 2, 3, 4, 5]
        assert positions(feed, 3) == [4, 5]
        assert positions(feed, 0, limit=2) == [1, 2]
        assert positions(feed, 5) == []


async def test_ticks_move_the_head_and_are_not_shown() -> None:
    feed = Feed()
    with feed.watch():
        feed.publish([posted(1), tick(2)], 2)
        assert positions(feed, 0) == [1]
        assert feed.head == 2


async def test_the_ring_forgets_the_oldest_by_count() -> None:
    feed = Feed(max_entries=3)
    with feed.watch():
        feed.publish([posted(n) for n in range(1, 6)], 5)
        assert positions(feed, 1) is None
        assert positions(feed, 2) == [3, 4, 5]


async def test_the_ring_forgets_the_oldest_by_size() -> None:
    feed = Feed(max_bytes=30_000)
    with feed.watch():
        feed.publish([posted(n, payload={"x": "y" * 10_000}) for n in range(1, 6)], 5)
        assert positions(feed, 2) is None
        assert positions(feed, 3) == [4, 5]


async def test_nothing_is_kept_while_nobody_watches() -> None:
    feed = Feed()
    feed.publish([posted(1)], 1)
    with feed.watch():
        assert positions(feed, 0) is None
        assert positions(feed, 1) == []
        feed.publish([posted(2)], 2)
        assert positions(feed, 1) == [2]
    feed.publish([posted(3)], 3)
    assert positions(feed, 2) is None


async def test_views_that_are_built_anew_show_nothing_twice() -> None:
    feed = Feed()
    with feed.watch():
        feed.publish([posted(1), posted(2)], 2)
        feed.publish([posted(1)], 1)
        feed.publish([posted(2), posted(3)], 3)
        assert positions(feed, 0) == [1, 2, 3]


async def test_a_watcher_that_leaves_wakes_nobody_and_stops_nobody() -> None:
    feed = Feed()

    async def watch() -> int:
        with feed.watch():
            await feed.wait(feed.head, 10)
            return feed.head

    watchers = [asyncio.create_task(watch()) for _ in range(3)]
    await asyncio.sleep(0)
    watchers[0].cancel()
    await asyncio.wait(watchers[:1])
    assert feed.watchers == 2
    feed.publish([posted(1)], 1)
    assert await asyncio.gather(*watchers[1:]) == [1, 1]
    assert feed.watchers == 0


async def test_there_are_only_so_many_watchers() -> None:
    feed = Feed(max_watchers=1)
    with feed.watch(), pytest.raises(TooManyWatchers), feed.watch():
        pass
    with feed.watch():
        assert feed.watchers == 1


async def test_a_closed_feed_lets_everybody_go() -> None:
    feed = Feed()
    waiting = asyncio.create_task(feed.wait(0, 10))
    await asyncio.sleep(0)
    feed.close()
    await asyncio.wait_for(waiting, 1)
    await asyncio.wait_for(feed.wait(0, 10), 1)


async def test_an_entry_is_encoded_once_for_all() -> None:
    feed = Feed()
    with feed.watch():
        feed.publish([posted(1)], 1)
        (entry,) = feed.after(0, 1) or []
        assert encode(entry) is encode(entry)
        assert encode(entry).startswith(b"id: 1\nevent: event\ndata: {")


@pytest.mark.parametrize(
    "body",
    [
        {"type": "a.b", "resource": "table://x"},
        {"type": "a.b", "resource": {"id": "ünï", "labels": {"k": "☃"}}, "payload": {"n": [1, 2.5, None, {"a": "\n"}]}},
        {"type": "a.b", "resource": "x", "related": [{"id": "flow://f", "role": "flow"}], "causes": ["c1"]},
        {"type": "a.b", "resource": "x", "time": "2026-11-22T09:00:00.000001+05:45"},
    ],
)
def test_the_quick_way_to_write_an_event_says_what_the_plain_one_says(body: dict[str, object]) -> None:
    pretty = orjson.dumps({"id": "e1", "time": "2026-11-22T09:00:00Z", **body}, option=orjson.OPT_INDENT_2)
    record = Record(7, 1_800_000_000_000_001, "ev.x", validation.parse_event(pretty))
    written = to_json(record)
    assert b"\n" not in written
    assert orjson.loads(written) == wire.to_dict(record)


FILTERS = [
    {},
    {"type": ["table.updated"]},
    {"type": ["table.*"]},
    {"type": ["table.>"]},
    {"type": [">"]},
    {"type": ["*"]},
    {"type": ["flow_run.failed", "*.updated"]},
    {"type": ["table.updated.*", "t*"]},
    {"resource": "table://warehouse/sales"},
    {"resource": "table://*"},
    {"resource": "table://warehouse/?ales"},
    {"resource": "table://warehouse/[so]*"},
    {"kind": "table"},
    {"label": ["team=finance"]},
    {"label": ["team=finance", "a/b~c=1=2"]},
    {"source": "test://*"},
    {"source": "elsewhere"},
    {"since": "2026-11-22T09:00:04Z"},
    {"until": "2026-11-22T09:00:04Z"},
    {"since": "2026-11-22T09:00:03Z", "until": "2026-11-22T09:00:05Z"},
    {"related": "flow://a"},
    {"related": "flow=flow://*"},
    {"related": "job="},
    {"related": "job=flow://a"},
    {"type": ["table.*"], "label": ["team=finance"], "related": "flow://?"},
]


@pytest.mark.parametrize("wanted", FILTERS, ids=str)
async def test_a_filter_lets_through_the_same_from_the_ring_and_from_the_views(
    memory: MemoryPlane, wanted: dict[str, object]
) -> None:
    resources = ["table://warehouse/sales", "table://warehouse/[so]x", "flow_run://1", "plain"]
    number = 0
    for resource in resources:
        for event_type in ("table.updated", "table.updated.late", "flow_run.failed", "one"):
            for extra in (
                {},
                {"related": [{"id": "flow://a", "role": "flow"}, {"id": "job://x", "role": "job"}]},
                {"labels": {"team": "finance", "a/b~c": "1=2"}, "source": "test://here"},
            ):
                number += 1
                body = event(number, type=event_type, resource={"id": resource, "labels": extra.pop("labels", {})})
                await memory.log.submit([validation.parse_event(orjson.dumps({**body, **extra}))])
    wanted_filter = Selection.model_validate(wanted).to_filter("default")
    passes = compile_test(wanted_filter)
    ring = [entry.position for entry in memory.log.entries if passes(entry)]
    page = await memory.run_read(reads.list_events, wanted_filter, limit=1_000, newest_first=False)
    assert ring == [item["position"] for item in page.items]
