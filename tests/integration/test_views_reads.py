"""Reading the views: filters, order, cursors, and one state per read."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.views_samples import START_MICROS, batch, created, firing, poison, posted

from airside.coordinator.views import BadCursor, Views, reads
from airside.coordinator.views.reads import EventFilter, Page
from airside.events import WireRelated

WS = "default"


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Views]:
    opened = Views.open(tmp_path_factory.mktemp("views") / "views.duckdb")
    job = (WireRelated('job://a"b', "job", "job", "a", {}), WireRelated("flow://f", "flow", "flow", "f", {}))
    opened.apply(
        batch(
            posted(1, "flow_run.failed", "run://a", labels={"team": "finance", "a/b~c": "x"}),
            posted(2, "flow_run.completed", "run://b", related=job),
            posted(3, "flow_run.sub.failed", "run://a*"),
            posted(4, "table.updated", "table://w/sales[1].x", source="dbt://prod"),
            posted(5, "table.updated", "table://w/orders", source="dbt://dev", workspace="other"),
            posted(6, "weird type+", "run://c?d"),
            posted(7, "table", "run://ü"),
        )
    )
    yield opened
    opened.close()


def found(views: Views, **wanted: Any) -> list[int]:
    return [
        item["position"] for item in views.read(reads.list_events, EventFilter(WS, **wanted), newest_first=False).items
    ]


@pytest.mark.parametrize(
    ("wanted", "positions"),
    [
        ({}, [1, 2, 3, 4, 6, 7]),
        ({"types": ("flow_run.failed",)}, [1]),
        ({"types": ("flow_run.*",)}, [1, 2]),
        ({"types": ("flow_run.>",)}, [1, 2, 3]),
        ({"types": ("*.*.failed", "table.updated")}, [3, 4]),
        ({"types": ("*",)}, [6, 7]),
        ({"types": (">",)}, [1, 2, 3, 4, 6, 7]),
        ({"types": ("weird type+",)}, [6]),
        ({"types": ("flow_runxfailed", "flow_run\\.failed")}, []),
        ({"resource": "run://a"}, [1]),
        ({"resource": "run://a*"}, [1, 3]),
        ({"resource": "run://?"}, [1, 2, 7]),
        ({"resource": "table://w/sales[1].x"}, [4]),
        ({"resource": "*[1].x"}, [4]),
        ({"kind": "table"}, [4]),
        ({"source": "dbt://prod"}, [4]),
        ({"source": "dbt://*"}, [4]),
        ({"labels": {"team": "finance"}}, [1]),
        ({"labels": {"a/b~c": "x"}}, [1]),
        ({"labels": {"team": "finance", "nope": "x"}}, []),
        ({"labels": {"te'am": "' OR true --"}}, []),
        ({"since": START_MICROS + 3_000_000}, [3, 4, 6, 7]),
        ({"until": START_MICROS + 3_000_000}, [1, 2]),
        ({"related": 'job://a"b'}, [2]),
        ({"related": "job://*"}, [2]),
        ({"related": "flow://f", "role": "flow"}, [2]),
        ({"related": "flow://f", "role": "job"}, []),
        ({"role": "job"}, [2]),
        ({"related": "job://a"}, []),
    ],
)
def test_events_are_found_by(views: Views, wanted: dict[str, Any], positions: list[int]) -> None:
    assert found(views, **wanted) == positions
    assert views.read(reads.count_events, EventFilter(WS, **wanted)) == len(positions)


def test_another_workspace_is_never_shown(views: Views) -> None:
    page = views.read(reads.list_events, EventFilter("other"))
    assert [item["position"] for item in page.items] == [5]
    assert found(views, resource="table://w/orders") == []


@pytest.mark.parametrize("newest_first", [True, False])
def test_pages_follow_each_other_without_a_gap_while_events_come(tmp_path: Path, newest_first: bool) -> None:
    views = Views.open(tmp_path / "views.duckdb")
    views.apply(batch(*(posted(n) for n in range(1, 26))))
    seen: list[int] = []
    cursor: str | None = None
    while True:
        page = views.read(reads.list_events, EventFilter(WS), cursor=cursor, limit=10, newest_first=newest_first)
        seen += [item["position"] for item in page.items]
        if (cursor := page.next) is None:
            break
        if views.position < 30:
            views.apply(batch(posted(views.position + 1)))
    expected = list(range(25, 0, -1)) if newest_first else list(range(1, views.position + 1))
    assert seen == expected
    assert [item["position"] for item in views.read(reads.list_events, EventFilter(WS), after=3, before=7).items] == [
        6,
        5,
        4,
    ]
    views.close()


def walk(views: Views, read: Any, *args: Any, **options: Any) -> list[Any]:
    """Follow the cursors of a list to its end."""
    page: Page = views.read(read, *args, **options)
    items = list(page.items)
    while page.next is not None:
        page = views.read(read, *args, cursor=page.next, **options)
        items += page.items
    return items


def test_every_list_can_be_walked(tmp_path: Path) -> None:
    views = Views.open(tmp_path / "views.duckdb")
    many = tuple(WireRelated(f"r://{n}", "x", "r", str(n), {}) for n in range(12))
    views.apply(
        batch(
            posted(1, related=many, labels={"team": "a"}),
            created(2),
            *(firing(n, f"f{n}") for n in range(3, 10)),
            *(poison(n) for n in range(10, 17)),
        )
    )
    resources = walk(views, reads.list_resources, WS, limit=3)
    assert len({resource["id"] for resource in resources}) == len(resources) == 14
    assert resources[0]["id"] == "automation://late"
    assert [firing["id"] for firing in walk(views, reads.list_firings, WS, limit=2)] == [
        f"f{n}" for n in range(9, 2, -1)
    ]
    letters = walk(views, reads.list_dead_letters, WS, limit=2)
    assert [letter["position"] for letter in letters] == list(range(16, 9, -1))
    for wanted, count in (
        ({"kind": "r"}, 12),
        ({"resource": "r://1*"}, 3),
        ({"labels": {"team": "a"}}, 1),
        ({"state": "triggered"}, 1),
    ):
        assert len(walk(views, reads.list_resources, WS, limit=5, **wanted)) == count, wanted
    views.close()


@pytest.mark.parametrize("cursor", ["", "x", "!!!", "WzEsMl0", "WyJhIl0", "MQ", "é"])
def test_a_cursor_that_no_list_gave_is_refused(views: Views, cursor: str) -> None:
    with pytest.raises(BadCursor, match="Begin again"):
        views.read(reads.list_events, EventFilter(WS), cursor=cursor)


async def test_a_read_sees_one_state_while_the_writer_commits(tmp_path: Path) -> None:
    views = Views.open(tmp_path / "views.duckdb")
    done = threading.Event()

    def write() -> None:
        for first in range(1, 2_000, 50):
            views.apply(batch(*(posted(n, resource=f"table://{n}") for n in range(first, first + 50))))
        done.set()

    def look(con: Any) -> tuple[int, int, int]:
        """Ask three tables in three statements, as a read may."""
        position = con.execute("SELECT position FROM log_position").fetchall()[0][0]
        events = con.execute("SELECT count(*) FROM events").fetchall()[0][0]
        return position, events, con.execute("SELECT count(*) FROM resources").fetchall()[0][0]

    writer = threading.Thread(target=write)
    writer.start()
    looks = 0
    while not done.is_set() or looks == 0:
        position, events, resources = await views.run_read(look)
        assert position == events == resources
        looks += 1
    writer.join()
    assert views.position == 2_000
    views.close()
