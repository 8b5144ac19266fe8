"""Variables that hold a database's URL or name a bucket. The value of neither is shown, but for a bucket's address."""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from airside.agent.discovering.found import Found, label
from airside.agent.discovering.place import Place
from airside.events import masking

_DATABASES: Final = frozenset(
    {
        *("bigquery", "clickhouse", "cockroachdb", "databricks", "db2", "duckdb", "hive", "mariadb", "mssql", "mysql"),
        *("oracle", "postgres", "postgresql", "redshift", "snowflake", "sqlite", "teradata", "trino"),
    }
)
#: The scheme of a bucket's address, and what drives it.
_BUCKETS: Final = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "abfss": "adlfs"}
_EXTRAS: Final = {"s3fs": "watch", "gcsfs": "gs", "adlfs": "abfs"}
_BUCKET_NAME = re.compile(r"(?:^|_)BUCKET(?:_NAME)?$")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{2,62}")
_ADDRESS = re.compile(r"[A-Za-z0-9._@/=+-]*")
_GOOGLE = re.compile(r"(?:^|_)(?:GCS|GS|GOOGLE|GCP)_")


def find(place: Place) -> Iterator[Found]:
    """Find databases, buckets and a Prefect among the variables; Airside's own are left out."""
    for name in sorted(place.environment):
        if name.startswith("AIRSIDE_"):
            continue
        value = place.variable(name)
        dialect = value.partition("://")[0].partition("+")[0].lower() if "://" in value else ""
        if dialect in _DATABASES:
            yield _database(place, name, dialect, value)
        elif (url := _bucket_url(name, value)) is not None:
            yield _bucket(place, name, url)
        elif name == "PREFECT_API_URL":
            yield from _prefect(name, value)


def _database(place: Place, name: str, dialect: str, value: str) -> Found:
    wants = ["the table to look at, in place of SCHEMA.TABLE"]
    if value.startswith("postgres://"):
        wants.append("a value that begins with postgresql://, which is how SQLAlchemy writes it")
    if not place.has("sqlalchemy"):
        wants.append("pip install 'airside[watch]'")
    watch = {"name": label(name), "url": f"sql+env://{name}?table=SCHEMA.TABLE"}
    return Found(
        "database", dialect, f"database://{label(name)}", f"${name}", "a watcher of each table", watch, "; ".join(wants)
    )


def _bucket_url(name: str, value: str) -> str | None:
    """Give the address of a bucket, None where it is none, or might hold more than an address."""
    if _BUCKET_NAME.search(name) and _BUCKET.fullmatch(value):
        return f"{'gs' if _GOOGLE.search(name) else 's3'}://{value}/"
    scheme, _, rest = value.partition("://")
    rest = rest.partition("?")[0].partition("#")[0]
    if scheme not in _BUCKETS or masking.is_telling(name) or not _ADDRESS.fullmatch(rest):
        return None
    if "@" in rest and not scheme.startswith("abfs"):
        return None
    bucket = rest.partition("/")[0]
    return f"{scheme}://{rest.rstrip('/')}/" if bucket else None


def _bucket(place: Place, name: str, url: str) -> Found:
    scheme = url.partition("://")[0]
    watch = {"name": label(name), "url": f"{url}#from=now"}
    driver = _BUCKETS[scheme]
    wants = "" if place.has(driver) else f"pip install 'airside[{_EXTRAS[driver]}]'"
    return Found("bucket", url, url.rstrip("/"), f"${name}", "a watcher of files that come", watch, wants)


def _prefect(name: str, value: str) -> Iterator[Found]:
    try:
        split = urlsplit(value)
        host, port = split.hostname, split.port
    except ValueError:
        return
    if split.scheme not in ("http", "https") or not host:
        return
    place = f"{f'[{host}]' if ':' in host else host}{f':{port}' if port else ''}{split.path.rstrip('/')}"
    watch = {"name": "prefect", "url": f"prefect{'s' if split.scheme == 'https' else ''}://{place}"}
    yield Found("prefect", f"Prefect at {place}", f"prefect://{place}", f"${name}", "a watcher of its events", watch)
