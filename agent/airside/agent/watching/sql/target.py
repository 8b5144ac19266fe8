"""What a URL like `sql+env://WAREHOUSE_URL?table=sales.orders&max=updated_at` asks for."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final
from urllib.parse import unquote, urlsplit

from airside.agent.watching import comparing, options, telling
from airside.agent.watching.comparing import Comparison
from airside.agent.watching.watcher import WatchRefused
from airside.events import datasets

_OPTIONS: Final = ("table", "max", "count", "expect_rows", "as", "timeout", "repeat")
_TIMEOUT_SECONDS: Final = 30.0
#: The schema of a name that has none.
_SCHEMAS: Final[Mapping[str, str]] = {
    "duckdb": "main",
    "mssql": "dbo",
    "postgres": "public",
    "postgresql": "public",
    "redshift": "public",
    "sqlite": "main",
}
#: Databases that know schemas or databases, not both.
_TWO_PARTS: Final = frozenset({"clickhouse", "hive", "mariadb", "mysql"})
_FILES: Final = frozenset({"duckdb", "sqlite"})


@dataclass(frozen=True, slots=True)
class SqlTarget:
    """One table and what to ask of it. The database's own URL is a secret: it is neither shown nor kept."""

    name: str
    variable: str
    url: str
    schema: str | None
    table: str
    resource: str
    max_column: str | None
    counts: bool
    expected_rows: Comparison | None
    timeout_seconds: float
    repeat_seconds: float

    def __repr__(self) -> str:
        return f"SqlTarget({self.name!r})"


def read(url: str, environment: Mapping[str, str] = os.environ) -> SqlTarget:
    """Read the URL, and the database's own from the variable that it names. Raises WatchRefused."""
    parts = urlsplit(url)
    variable = parts.netloc
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable) or parts.path.strip("/") or parts.fragment:
        raise WatchRefused(
            "write sql+env://VARIABLE?table=schema.table; the variable holds the database's URL, which is a secret"
        )
    shown = f"sql+env://{variable}"
    found = options.read(parts.query, _OPTIONS, shown)
    database = environment.get(variable, "")
    if not database:
        raise WatchRefused(f"{shown}: {variable} is not set; it holds the database's URL, as postgresql://user@host/db")
    names = datasets.relation_parts(found.get("table", ""))
    if not 1 <= len(names) <= 3:
        raise WatchRefused(f"{shown}: table must be a name, as orders, sales.orders or shop.sales.orders")
    dialect, catalog = _dialect_and_catalog(database, variable)
    if len(names) == 3 and dialect not in _TWO_PARTS and catalog and names[0].lower() != catalog.lower():
        raise WatchRefused(f"{shown}: the connection is to another database than {names[0]}, and a look takes one")
    schema = names[-2] if len(names) > 1 else (catalog if dialect in _TWO_PARTS else _SCHEMAS.get(dialect))
    maximum = found.get("max")
    expected = comparing.comparison(found["expect_rows"], "expect_rows") if "expect_rows" in found else None
    counts = options.truth(found["count"], "count") if "count" in found else maximum is None
    return SqlTarget(
        name=f"{shown}?{parts.query}",
        variable=variable,
        url=database,
        schema=schema,
        table=names[-1],
        resource=found.get("as") or _resource(names, dialect, catalog, schema),
        max_column=maximum,
        counts=counts or expected is not None,
        expected_rows=expected,
        timeout_seconds=options.seconds(found["timeout"], "timeout") if "timeout" in found else _TIMEOUT_SECONDS,
        repeat_seconds=options.seconds(found["repeat"], "repeat") if "repeat" in found else telling.REPEAT_SECONDS,
    )


def _dialect_and_catalog(url: str, variable: str) -> tuple[str, str | None]:
    """Give `postgresql` of `postgresql+psycopg://…/shop`, and `shop`; of a file its name without the ending."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise WatchRefused(f"{variable} does not hold a URL, as postgresql://user@host/db") from None
    dialect = parts.scheme.partition("+")[0]
    if not dialect:
        raise WatchRefused(f"{variable} does not hold a URL, as postgresql://user@host/db")
    path = unquote(parts.path).lstrip("/")
    if dialect in _FILES:
        if parts.netloc or not path or path == ":memory:":
            raise WatchRefused(
                f"{variable}: name a file, as {dialect}:///folder/shop.db ({dialect}://// from the root)"
            )
        return dialect, PurePath(path).stem
    return dialect, path.partition("/")[0] or None


def _resource(names: list[str], dialect: str, catalog: str | None, schema: str | None) -> str:
    """Give the id that dbt's and OpenLineage's names of this table lead to."""
    if dialect in _TWO_PARTS:
        whole = [schema, names[-1]]
    else:
        whole = [names[0] if len(names) == 3 else catalog, schema, names[-1]]
    return "table://" + "/".join(datasets.segment(part.lower()) for part in whole if part)
