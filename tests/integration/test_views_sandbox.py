"""People's own SQL: what it can ask, and what it can neither reach nor break."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.views_samples import action, batch, created, firing, poison, posted

from airside.coordinator.views import QueryRefused, QueryTooLarge, QueryTooLong, Views
from airside.coordinator.views.publish import Publisher
from airside.coordinator.views.sandbox import QueryPool, Result
from airside.events import WireRelated


@pytest.fixture
async def views(tmp_path: Path) -> AsyncIterator[Views]:
    opened = Views.open(tmp_path / "views.duckdb")
    related = (WireRelated("job://a", "job", "job", "a", {}),)
    opened.apply(
        batch(
            posted(1, labels={"team": "finance"}, related=related, payload={"rows": 3}),
            posted(2, "check.failed", workspace="other"),
            poison(3),
            created(4, severity="high"),
            firing(5),
            action(6, "succeeded", result={"status": 200}),
            firing(7, "r1", outcome="resolved", resolves="f1", actions=()),
        )
    )
    yield opened
    opened.close()


@pytest.fixture
async def queries(views: Views, tmp_path: Path) -> AsyncIterator[QueryPool]:
    async with QueryPool(Publisher(views, tmp_path / "snapshots")) as pool:
        yield pool


async def test_every_view_can_be_asked(queries: QueryPool) -> None:
    result = await queries.run("SELECT id, type, received, labels, payload, position FROM events ORDER BY position")
    assert [column["name"] for column in result.columns] == [
        "id",
        "type",
        "received",
        "labels",
        "payload",
        "position",
    ]
    assert result.rows[0] == [
        "event-1",
        "table.updated",
        "2026-11-22T09:00:01Z",
        {"team": "finance"},
        {"rows": 3},
        1,
    ]
    assert (len(result.rows), result.truncated, result.position) == (5, False, 7)
    assert (await queries.run("SELECT id, resolved_by FROM firings ORDER BY id")).rows == [["f1", "r1"], ["r1", None]]
    assert (await queries.run("SELECT state, result FROM actions")).rows == [["succeeded", {"status": 200}]]
    assert (await queries.run("SELECT name, severity, firings FROM automations")).rows == [["late", "high", 1]]
    assert (await queries.run("SELECT position, data FROM dead_letters")).rows == [[3, "/yBub3QganNvbg=="]]
    assert (await queries.run("SELECT state FROM resources WHERE id = 'table://warehouse/sales'")).rows == [["updated"]]


async def test_parameters_are_bound(queries: QueryPool) -> None:
    for parameters, mark in ((["event-1"], "?"), ({"wanted": "event-1"}, "$wanted")):
        result = await queries.run(f"SELECT count(*) FROM events WHERE id = {mark}", parameters)
        assert result.rows == [[1]]
    assert (await queries.run("SELECT count(*) FROM events WHERE id = ?", ["' OR 1=1 --"])).rows == [[0]]


async def test_a_workspace_sees_itself_alone(queries: QueryPool) -> None:
    result = await queries.run("SELECT workspace, id FROM events", workspace="other")
    assert result.rows == [["other", "event-2"]]
    assert (await queries.run("FROM firings", workspace="other")).rows == []
    assert (await queries.run("SELECT count(*) FROM events", workspace="empty")).rows == [[0]]


async def test_a_query_sees_what_was_folded_a_moment_ago(queries: QueryPool, views: Views) -> None:
    assert (await queries.run("SELECT count(*) FROM events")).rows == [[5]]
    for position in range(8, 30):
        views.apply(batch(posted(position, resource=f"table://warehouse/{position % 3}")))
    result = await queries.run("SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM resources)")
    async with asyncio.timeout(60):
        while result.position < 29:
            result = await queries.run("SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM resources)")
    assert (result.rows, result.position) == ([[27, 6]], 29)


async def test_values_of_all_types_become_json(queries: QueryPool) -> None:
    result = await queries.run(
        """SELECT 1.25 AS dec, 170141183460469231731687303715884105727::HUGEINT AS huge, 'x'::BLOB AS blob,
           'nan'::DOUBLE AS nan, [TIMESTAMPTZ '2026-11-22 10:00:00.5+01'] AS nested, DATE '2026-11-22' AS day,
           {'a': 1} AS record, MAP {'k': 2} AS map, INTERVAL '90 seconds' AS gap, '{"a": [1]}'::JSON AS doc,
           TIMESTAMP '2026-11-22 10:00:00' AS local, 1e999 AS inf, NULL AS none, true AS yes,
           12345678901234567890.5::DECIMAL(38,1) AS exact, 'infinity'::TIMESTAMPTZ AS ever"""
    )
    assert dict(zip([c["name"] for c in result.columns], result.rows[0], strict=True)) == {
        "dec": 1.25,
        "huge": "170141183460469231731687303715884105727",
        "blob": "eA==",
        "nan": "nan",
        "nested": ["2026-11-22T09:00:00.500000Z"],
        "day": "2026-11-22",
        "record": {"a": 1},
        "map": {"k": 2},
        "gap": "PT90.000000S",
        "doc": {"a": [1]},
        "local": "2026-11-22T10:00:00",
        "inf": "inf",
        "none": None,
        "yes": True,
        "exact": "12345678901234567890.5",
        "ever": "infinity",
    }


async def test_a_result_is_cut_at_its_limits(queries: QueryPool) -> None:
    result = await queries.run("SELECT range FROM range(100_000_000)", limit_rows=5)
    assert (result.rows, result.truncated) == ([[0], [1], [2], [3], [4]], True)
    result = await queries.run("SELECT repeat('x', 1_000_000) FROM range(100)")
    assert (len(result.rows), result.truncated) == (8, True)
    with pytest.raises(QueryTooLarge, match="one row"):
        await queries.run("SELECT repeat('x', 20_000_000)")


async def test_a_mistake_is_explained_without_naming_this_machine(queries: QueryPool, tmp_path: Path) -> None:
    for sql, expected in (
        ("SELEC 1", "syntax error"),
        ("SELECT nope FROM events", "nope"),
        ("SELECT * FROM nowhere", "nowhere"),
        ("SELECT 1; SELECT 2", "exactly one"),
        ("", "exactly one"),
        ("SELECT ?", "parameter"),
        ("SELECT * FROM read_parquet('events-*.parquet')", "Permission"),
    ):
        with pytest.raises(QueryRefused, match=expected) as refused:
            await queries.run(sql)
        assert str(tmp_path) not in str(refused.value)


FILES = [
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_csv('/proc/self/environ')",
    "SELECT * FROM read_blob('/etc/hostname')",
    "SELECT * FROM read_json_auto('http://127.0.0.1:1/x')",
    "SELECT * FROM glob('*')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM read_parquet('{other}')",
    "SELECT * FROM read_parquet('../other/{name}')",
    "SELECT * FROM read_parquet('{root}/*/*.parquet')",
    "SELECT * FROM duckdb_extensions()",
]
WRITES = [
    "COPY (SELECT 1) TO '{root}/x.csv'",
    "COPY events TO '/tmp/airside-x.csv'",
    "ATTACH '{root}/x.duckdb'",
    "EXPORT DATABASE '{root}/x'",
    "IMPORT DATABASE '{root}'",
    "CREATE TABLE t AS SELECT 1",
    "CREATE SECRET s (TYPE s3)",
    "CREATE MACRO m() AS 1",
    "DROP VIEW events",
    "DELETE FROM events",
    "INSERT INTO events VALUES (1)",
    "WITH x AS (INSERT INTO events SELECT * FROM events RETURNING *) SELECT * FROM x",
    "WITH x AS (DELETE FROM events RETURNING *) SELECT * FROM x",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{root}/x.csv'",
    "SELECT * FROM query('COPY events TO ''x.csv''')",
]
RIGHTS = [
    "SELECT getenv('HOME')",
    "SELECT * FROM sys",
    "SELECT * FROM request",
    "SELECT current_setting('allowed_paths')",
    "SELECT system.main.current_setting('allowed_paths')",
    "SELECT 'allowed_paths'.\"Current_Setting\"()",
    "SELECT hex(c) FROM (SELECT current_setting('allowed_paths')::VARCHAR AS c)",
    "SELECT * FROM duckdb_settings()",
    "SELECT (SELECT list(value) FROM system.main.duckdb_settings())",
    "WITH x AS (FROM pg_settings) SELECT * FROM x",
    "FROM pg_catalog.pg_settings",
    "FROM query('select current_set' || 'ting(''allowed_paths'')')",
    "FROM query_table('pg_' || 'settings')",
    "FROM json_execute_serialized_sql(json_serialize_sql('select 1'))",
    "SUMMARIZE pg_settings",
    "PIVOT (FROM pg_settings) ON name",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET threads = 4",
    "SET memory_limit = '100GB'",
    "RESET threads",
    "PRAGMA threads = 4",
    "PRAGMA enable_profiling",
    "CALL enable_logging()",
    "CHECKPOINT",
    "PREPARE p AS SELECT 1",
    "USE memory",
    "BEGIN",
]


@pytest.mark.parametrize("attempts", [FILES, WRITES, RIGHTS], ids=["files", "writes", "rights"])
async def test_nothing_outside_the_views_can_be_reached(
    queries: QueryPool, tmp_path: Path, attempts: list[str]
) -> None:
    await queries.run("SELECT 1", workspace="other")
    other = next((tmp_path / "snapshots" / "other").glob("events*.parquet"))
    for sql in attempts:
        with pytest.raises(QueryRefused):
            await queries.run(sql.format(root=tmp_path, other=other, name=other.name))
    assert {path.name for path in tmp_path.iterdir()} <= {"views.duckdb", "views.duckdb.wal", "snapshots"}
    files = [path for path in (tmp_path / "snapshots").rglob("*") if path.is_file()]
    assert all(path.suffix == ".parquet" and path.stat().st_size > 0 for path in files)


async def test_words_that_only_look_like_what_is_hidden_can_be_asked(queries: QueryPool) -> None:
    result = await queries.run("SELECT payload->>'query' AS query, 'pg_settings' FROM events LIMIT 1")
    assert result.rows == [[None, "pg_settings"]]


BOMBS = [
    "SELECT length(repeat('x', 4_000_000_000))",
    "SELECT sum(length(repeat('x', 10_000_000 + range))) FROM range(100_000)",
    "SELECT count(*) FROM range(100_000_000_000)",
    "SELECT levenshtein(repeat('a', 200_000), repeat('b', 200_000))",
    "SELECT lpad('x', 2_000_000_000, 'y')",
    "SELECT unnest(range(1_000_000_000))",
    "SELECT list(range) FROM range(1_000_000_000)",
    "SELECT count(*) FROM range(100_000) a, range(100_000) b, range(100_000) c",
    "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT max(n) FROM t",
    "SELECT regexp_matches(repeat('a', 100_000), '(a+)+$'), count(*) FROM range(10_000_000_000)",
]


async def test_a_bomb_ends_at_its_deadline_and_leaves_the_pool_in_order(queries: QueryPool) -> None:
    clock = asyncio.get_running_loop().time
    for sql in BOMBS:
        started = clock()
        assert not await finishes(queries, sql, timeout=0.8)
        assert clock() - started < 2.5, sql
    assert (await queries.run("SELECT 1")).rows == [[1]]


async def finishes(queries: QueryPool, sql: str, timeout: float) -> bool:
    """Tell whether a query gives its whole result."""
    try:
        return not (await queries.run(sql, timeout=timeout)).truncated
    except (QueryTooLong, QueryTooLarge, QueryRefused):
        return False


async def test_closing_stops_the_queries_that_run(views: Views, tmp_path: Path) -> None:
    pool = QueryPool(Publisher(views, tmp_path / "snapshots"))
    await pool.start()
    running = [asyncio.create_task(pool.run("SELECT count(*) FROM range(100_000_000_000)")) for _ in range(6)]
    while not list((tmp_path / "snapshots").glob("default/events*")):
        await asyncio.sleep(0)
    await pool.close()
    assert all(isinstance(outcome, QueryTooLarge | QueryTooLong) for outcome in await gathered(running))


async def gathered(tasks: list[asyncio.Task[Result]]) -> list[Result | BaseException]:
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_callers_who_go_away_leave_nothing_behind(views: Views, tmp_path: Path) -> None:
    publisher = Publisher(views, tmp_path / "snapshots")
    async with QueryPool(publisher) as pool:
        asking = [asyncio.create_task(pool.run("SELECT count(*) FROM range(100_000_000_000)")) for _ in range(3)]
        await pool.run("SELECT 1")
        for task in asking:
            task.cancel()
        await gathered(asking)
        assert (await pool.run("SELECT 42")).rows == [[42]]
    views.apply(batch(posted(8)))
    snapshot = publisher.acquire("default")
    assert {file.name for file in snapshot.folder.iterdir()} == snapshot.files
