"""Tables of real databases that change: SQLite by SQLAlchemy, and a DuckDB file."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from tests.support.watching import Clock, Watching

from airside.agent.watching.sql import target, watcher
from airside.agent.watching.watcher import WatchError, WatchRefused
from airside.events import datasets

pytest.importorskip("sqlalchemy")
URL = "sql+env://SHOP_URL?table="


class Database:
    """A file of one kind, and its URL."""

    def __init__(self, kind: str, path: Path) -> None:
        self.url = f"{kind}:///{path}"
        self._connect: Callable[[], Any] = {
            "sqlite": lambda: sqlite3.connect(path, isolation_level=None),
            "duckdb": lambda: duckdb.connect(str(path)),
        }[kind]

    def run(self, sql: str) -> None:
        connection = self._connect()
        connection.execute(sql)
        connection.close()


@pytest.fixture(params=["sqlite", "duckdb"])
def shop(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    found = Database(request.param, tmp_path / "shop.db")
    found.run("CREATE TABLE orders (id INTEGER, updated_at TIMESTAMP)")
    monkeypatch.setenv("SHOP_URL", found.url)
    return found


async def test_more_rows_are_an_update_and_the_first_look_is_none(shop: Database) -> None:
    eyes = Watching.url(URL + "orders")
    assert await eyes.look() == []
    assert await eyes.look() == []
    shop.run("INSERT INTO orders VALUES (1, '2026-11-22 06:00:00')")
    [event] = await eyes.look()
    assert event["type"] == "table.updated"
    assert event["resource"] == {"id": "table://shop/main/orders", "kind": "table"}
    assert event["payload"] == {"rows": 1, "rows_before": 0}
    assert await eyes.look() == []


async def test_a_later_maximum_is_an_update(shop: Database) -> None:
    eyes = Watching.url(URL + "orders&max=updated_at")
    shop.run("INSERT INTO orders VALUES (1, '2026-11-22 06:00:00')")
    await eyes.look()
    shop.run("INSERT INTO orders VALUES (2, '2026-11-22 07:00:00')")
    [event] = await eyes.look()
    assert event["payload"]["max_before"].replace("T", " ") == "2026-11-22 06:00:00"
    assert event["payload"]["max"].replace("T", " ") == "2026-11-22 07:00:00"
    assert event["payload"]["max_column"] == "updated_at"
    assert "rows" not in event["payload"]


async def test_each_change_has_its_own_id_also_back_to_what_was(shop: Database) -> None:
    eyes = Watching.url(URL + "orders")
    await eyes.look()
    ids = []
    for sql in ("INSERT INTO orders VALUES (1, NULL)", "DELETE FROM orders", "INSERT INTO orders VALUES (1, NULL)"):
        shop.run(sql)
        ids += [event["id"] for event in await eyes.look()]
    assert len(set(ids)) == 3


async def test_a_change_that_is_seen_twice_has_one_id(shop: Database) -> None:
    eyes = Watching.url(URL + "orders")
    await eyes.look()
    shop.run("INSERT INTO orders VALUES (1, NULL)")
    killed = await eyes.watcher.poll(eyes.cursor)  # the cursor was not kept
    [again] = await eyes.look()
    assert killed.events[0]["id"] == again["id"]


async def test_expected_rows_are_told_when_the_result_changes_and_every_so_often(shop: Database) -> None:
    clock = Clock(1_790_000_000)
    eyes = Watching(watcher.SqlWatcher(target.read(URL + "orders&expect_rows=>0&repeat=1h"), clock))
    [failed] = await eyes.look()
    assert (failed["type"], failed["payload"]) == ("check.failed", {"check": "rows > 0", "rows": 0})
    assert await eyes.look() == []
    shop.run("INSERT INTO orders VALUES (1, NULL)")
    assert await eyes.types() == ["table.updated", "check.passed"]
    clock.now += 1_800
    assert await eyes.types() == []
    clock.now += 1_800
    [repeated] = await eyes.look()
    assert repeated["type"] == "check.passed"


@pytest.mark.parametrize("name", ['or"ders; DROP TABLE orders; --', "select", "Größe [x]", "a.b"])
async def test_names_are_quoted_whatever_they_are(shop: Database, name: str) -> None:
    from urllib.parse import quote

    quoted = '"' + name.replace('"', '""') + '"'
    shop.run(f"CREATE TABLE {quoted} ({quoted} INTEGER)")
    shop.run(f"INSERT INTO {quoted} VALUES (7)")
    eyes = Watching.url(f"{URL}{quote(quoted)}&max={quote(name)}&count=yes")
    await eyes.look()
    assert eyes.cursor["seen"] == [1, 7]
    shop.run("INSERT INTO orders VALUES (1, NULL)")  # still there


async def test_nothing_is_written_and_the_file_is_free_between_two_looks(shop: Database) -> None:
    eyes = Watching.url(URL + "orders")
    await eyes.look()
    shop.run("CREATE TABLE other (id INTEGER)")  # a DuckDB file that is open elsewhere refuses this


async def test_a_table_that_is_not_there_is_told_without_the_address(shop: Database, tmp_path: Path) -> None:
    with pytest.raises(WatchError, match="missing cannot be read") as caught:
        await Watching.url(URL + "missing").look()
    assert shop.url not in str(caught.value)


async def test_a_statement_that_takes_too_long_is_interrupted(shop: Database) -> None:
    kind = shop.url.partition(":")[0]
    numbers = {
        "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
        "duckdb": "SELECT a.range AS i FROM range(10000000) a, range(10000000) b",
    }[kind]
    shop.run(f"CREATE VIEW endless AS {numbers}")
    with pytest.raises(WatchError, match=r"took longer than 0\.3 s"):
        await Watching.url(URL + "endless&max=i&timeout=300ms").look()


async def test_a_moment_with_a_zone_is_told_in_utc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database("duckdb", tmp_path / "zoned.db")
    database.run("CREATE TABLE orders (updated_at TIMESTAMPTZ)")
    monkeypatch.setenv("SHOP_URL", database.url)
    eyes = Watching.url(URL + "orders&max=updated_at&count=yes")
    assert await eyes.look() == []
    database.run("INSERT INTO orders VALUES ('2026-11-22 07:00:00.5+01:00')")
    [event] = await eyes.look()
    assert (event["payload"]["max"], event["payload"]["rows"]) == ("2026-11-22T06:00:00.500000+00:00", 1)


def read(database: str, table: str, **more: str) -> target.SqlTarget:
    options = "".join(f"&{name}={value}" for name, value in more.items())
    return target.read(f"sql+env://DB?table={table}{options}", {"DB": database})


@pytest.mark.parametrize(
    ("database", "table", "resource"),
    [
        ("postgresql+psycopg://u:p@host/shop", "orders", "table://shop/public/orders"),
        ("postgresql://u:p@host/shop", "Sales.Orders", "table://shop/sales/orders"),
        ("postgresql://u:p@host/Shop", "shop.sales.orders", "table://shop/sales/orders"),
        ("mysql://u:p@host/shop", "orders", "table://shop/orders"),
        ("snowflake://u:p@account/SHOP/PUBLIC", "mart.orders", "table://shop/mart/orders"),
        ("duckdb:////data/shop.duckdb", "main.orders", "table://shop/main/orders"),
    ],
)
def test_a_table_has_the_id_that_dbt_and_openlineage_give_it(database: str, table: str, resource: str) -> None:
    assert read(database, table).resource == resource
    if resource.count("/") == 4:
        assert datasets.table_id(resource.removeprefix("table://").replace("/", ".")) == resource


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sql+env://SHOP_URL", "table must be a name"),
        ("sql+env://NOT_SET?table=orders", "NOT_SET is not set"),
        ("sql+env://user:hunter2@host/db?table=orders", "the variable holds the database's URL"),
        (URL + "orders&expect_rows=many", "expect_rows: `many` must be one of"),
        (URL + "other.main.orders", "another database than other"),
        (URL + "orders&where=1", "no option is called `where`"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_reason(shop: Database, url: str, said: str) -> None:
    with pytest.raises(WatchRefused, match=said) as caught:
        Watching.url(url)
    assert "hunter2" not in str(caught.value)


async def test_a_database_that_refuses_the_login_is_told_without_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_URL", "sqlite:////nowhere/hunter2/shop.db")
    with pytest.raises(WatchError, match="cannot be read") as caught:
        await Watching.url(URL + "orders").look()
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(target.read(URL + "orders"))
